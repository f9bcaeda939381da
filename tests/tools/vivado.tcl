# Stands in for Vivado: runs the scripts that it is given, checks all that they name, and writes plausible results.

set here [file dirname [file normalize [info script]]]
foreach part {common modules blockdesign results} {
	source [file join $here $part.tcl]
}

array set vlnv {}
array set properties {}
set catalogue {}
set repositories {}
set board_folders {}
set design_name ""
set tops {}
set part_name xc7z020clg400-1

# The catalogue that Vivado brings: interfaces and pins of the few IP that a block design here uses.
set vivado_ip {
	xilinx.com:ip:processing_system7:5.5 {
		{{M_AXI_GP0 aximm Master 32 30} {S_AXI_HP0 aximm Slave 64 32}}
		{{FCLK_CLK0 O} {FCLK_RESET0_N O} {M_AXI_GP0_ACLK I} {S_AXI_HP0_ACLK I}}
	}
	xilinx.com:ip:proc_sys_reset:5.0 {
		{}
		{{slowest_sync_clk I} {ext_reset_in I} {interconnect_aresetn O} {peripheral_aresetn O}}
	}
	xilinx.com:ip:smartconnect:1.0 {
		{{S00_AXI aximm Slave -1 0} {S01_AXI aximm Slave -1 0} {M00_AXI aximm Master -1 0}}
		{{aclk I} {aresetn I}}
	}
	xilinx.com:ip:xlconstant:1.1 {
		{}
		{{dout O}}
	}
	xilinx.com:ip:axi_interconnect:2.1 {
		{{S00_AXI aximm Slave 32 0}}
		{{ACLK I} {ARESETN I} {S00_ACLK I} {S00_ARESETN I}}
	}
}

proc ip_of {name} {
	if {[dict exists $::vivado_ip $name]} {
		return [dict get $::vivado_ip $name]
	}
	if {![info exists ::repository_ip($name)]} {
		refuse "\[BD 5-390\] IP definition not found for VLNV: $name"
	}
	return $::repository_ip($name)
}

proc update_ip_catalog {args} {
	foreach folder $::repositories {
		if {![file isdirectory $folder]} {
			refuse "\[IP_Flow 19-2248\] Failed to load user IP repository '$folder'; not a directory"
		}
		foreach path [glob -nocomplain -directory $folder component.xml */component.xml] {
			set text [slurp $path]
			foreach tag {vendor library name version} {
				regexp "<spirit:$tag>(.*?)</spirit:$tag>" $text all ip($tag)
			}
			set interfaces {}
			set ports {}
			foreach {all one} [regexp -all -inline {<spirit:busInterface>(.*?)</spirit:busInterface>} $text] {
				lappend interfaces $one
			}
			foreach {all one} [regexp -all -inline {<spirit:port>(.*?)</spirit:port>} $text] {
				lappend ports $one
			}
			set ::repository_ip($ip(vendor):$ip(library):$ip(name):$ip(version)) [list $interfaces $ports]
		}
	}
}

proc get_parts {args} {
	return [expr {[lindex $args end] eq $::part_name && ![fault no_part] ? $::part_name : ""}]
}

proc set_param {name value} {
	if {$name eq "board.repoPaths"} {
		set ::board_folders $value
	}
}

proc get_board_parts {args} {
	foreach folder $::board_folders {
		foreach path [glob -nocomplain -directory $folder */*/board.xml */board.xml] {
			regexp {<board [^>]*vendor="([^"]+)" name="([^"]+)"} [slurp $path] all vendor name
			if {[string match [lindex $args end] $vendor:$name:part0:1.0]} {
				return $vendor:$name:part0:1.0
			}
		}
	}
	return ""
}

proc get_ipdefs {args} {
	set name [lindex $args end]
	return [expr {[dict exists $::vivado_ip $name] ? $name : ""}]
}

proc create_project {args} {
	if {[set at [lsearch $args -part]] < 0 || [lindex $args $at+1] ne $::part_name} {
		refuse "\[Coretcl 2-106\] Specified part could not be found: $args"
	}
	if {"-in_memory" ni $args} {
		set names [lsearch -all -inline -not -exact [lreplace $args $at $at+1] -force]
		lassign $names ::project ::project_folder
		if {[glob -nocomplain -directory $::project_folder $::project.*] ne "" && "-force" ni $args} {
			refuse "\[Coretcl 2-27\] Project '$::project' already exists"
		}
		spit [file join $::project_folder $::project.xpr] "<Project Version=\"7\" Part=\"$::part_name\"/>\n"
	}
}

proc current_project {} {return project}
proc current_design {} {return top_wrapper}
proc current_fileset {} {return sources_1}
proc set_msg_config {args} {}
proc save_bd_design {} {}
proc update_compile_order {args} {}
proc close_project {} {}
proc version {args} {return [given VERSION 2024.2]}

proc set_property {args} {
	if {[lindex $args 0] eq "-dict"} {
		foreach {name value} [lindex $args 1] {
			set_property $name $value [lindex $args 2]
		}
		return
	}
	lassign $args name value object
	switch $name {
		name {
			rename_port $object $value
		}
		ip_repo_paths {
			set ::repositories [string map [list {$::env(FINN_RTLLIB)} $::env(FINN_RTLLIB)] $value]
		}
		board_part {
			if {$value eq ""} {
				refuse "\[Board 49-71\] The board_part definition was not found for ''"
			}
		}
		top {
			if {$value ni $::tops} {
				refuse "\[Project 1-24\] no top module $value"
			}
		}
		CONFIG.FREQ_HZ {
			if {![string is integer -strict $value]} {
				refuse "\[BD 41-1273\] FREQ_HZ $value"
			}
		}
		CONFIG.PCW_FPGA0_PERIPHERAL_FREQMHZ {
			set ::clock_mhz $value
		}
		CONFIG.NUM_MI {
			if {$::vlnv($object) eq "xilinx.com:ip:axi_interconnect:2.1"} {
				for {set i 0} {$i < $value} {incr i} {
					set port [format M%02d $i]
					add_pins $object [list [list ${port}_AXI aximm Master 32 0]] [list [list ${port}_ACLK I] [list ${port}_ARESETN I]]
				}
			}
		}
	}
	set ::properties($object,$name) $value
}

proc get_property {name object} {
	switch $name {
		CONFIG.ADDR_WIDTH {
			return [expr {[info exists ::bd_intf($object)] ? [lindex $::bd_intf($object) 3] : ""}]
		}
		CONFIG.PCW_ACT_FPGA0_PERIPHERAL_FREQMHZ {
			# 1,000 MHz, divided by a whole number.
			return [format %.6f [expr {1000.0 / ceil(1000.0 / $::clock_mhz - 1e-9)}]]
		}
		NAME {
			return [file tail $object]
		}
		PROGRESS - STATUS {
			return [run_property $name $object]
		}
	}
	refuse "\[Common 17-54\] The object '$object' does not have a property '$name'"
}

proc add_files {option path} {
	if {$option ne "-norecurse"} {
		refuse "\[Common 17-170\] Unknown option '$option'"
	}
	if {![file isfile $path]} {
		refuse "\[Vivado 12-172\] File or Directory '$path' does not exist"
	}
	read_module_file $path
}

proc get_files {args} {
	return [lindex $args end]
}

proc create_bd_design {name} {
	set ::design_name $name
}

proc apply_bd_automation {args} {
	array set given [lrange $args 0 end-1]
	if {$given(-rule) ne "xilinx.com:bd_rule:processing_system7" || [lindex $args end] ne "zynq_ps"} {
		refuse "\[BD 41-1273\] rule $given(-rule)"
	}
}

proc get_bd_intf_pins {args} {
	array set given [list -of ""]
	if {[lindex $args 0] eq "-of"} {
		# The pins of a port's net: its lower side, inside the design.
		set port [string map {net: ""} [lindex $args 1]]
		return [expr {[info exists ::bd_external($port)] ? [list $port [lindex $::bd_external($port) 1]] : ""}]
	}
	return [known "interface pins" bd_intf [lindex $args end]]
}

proc get_bd_intf_nets {args} {
	return net:[lindex $args end]
}

proc get_bd_intf_ports {args} {
	if {[lindex $args 0] ne "-filter"} {
		return [known "interface ports" bd_external [lindex $args end]]
	}
	if {[lindex $args 1] ne "CONFIG.PROTOCOL==AXI4LITE"} {
		refuse "\[Common 17-161\] filter [lindex $args 1]"
	}
	set found {}
	foreach port [lsort [array names ::bd_external]] {
		if {[lindex $::bd_external($port) 0] eq "intf" && [lindex $::bd_intf([lindex $::bd_external($port) 1]) 0] eq "axilite"} {
			lappend found $port
		}
	}
	return $found
}

proc make_wrapper {args} {
	if {"-top" ni $args} {
		refuse "\[Common 17-170\] make_wrapper without -top"
	}
	set path [file join $::project_folder $::project.gen sources_1 bd $::design_name hdl ${::design_name}_wrapper.v]
	spit $path "module ${::design_name}_wrapper (\n\tinput ap_clk\n);\nendmodule\n"
	lappend ::tops ${::design_name}_wrapper
	return $path
}

proc generate_target {what file} {
	write_hwh [file join $::project_folder $::project.gen sources_1 bd $::design_name hw_handoff $::design_name.hwh]
	spit [file join $::project_folder $::project.design] [array get ::vlnv]
}

# Packaging the design as IP.
namespace eval ipx {
	proc package_project {args} {
		array set given [lrange $args 0 end-1]
		set interfaces {}
		set ports {}
		foreach port [lsort [array names ::bd_external]] {
			lassign $::bd_external($port) kind path
			if {$kind eq "intf"} {
				lappend interfaces [concat $port $::bd_intf($path)]
			} else {
				lappend ports [list $port I]
			}
		}
		describe_ip [file join $given(-root_dir) component.xml] $given(-vendor) $given(-library) $given(-module) $interfaces $ports
	}
	foreach name {find_open_core create_xgui_files remove_segment add_file_group add_file get_file_groups get_files
		remove_file add_address_block add_memory_map get_bus_interfaces get_bus_parameters update_checksums save_core
		get_address_spaces} {
		proc $name {args} {return ""}
	}
	proc current_core {args} {return core}
}

set argv [list [lindex $argv 1] [lindex $argv 0]]
set script [lindex $argv 1]
set argv [lrange $argv 0 0]
if {![string is integer -strict [lindex $argv 0]] || [lindex $argv 0] < 1} {
	puts "ERROR: \[Common 17-69\] jobs: [lindex $argv 0]"
	exit 1
}
run_script $script
