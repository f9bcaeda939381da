# Block designs: cells, pins, interfaces and how they are connected. What does not exist cannot be connected.

array set bd_cell {}
array set bd_pin {}
array set bd_intf {}
array set bd_net {}
array set bd_link {}
array set bd_external {}
array set bd_address {}

proc bare {path} {
	return [string trimleft $path /]
}

proc parent_of {path} {
	return [expr {[string first / $path] < 0 ? "" : [string range $path 0 [string last / $path]-1]}]
}

proc add_pins {path interfaces plain} {
	foreach one $interfaces {
		set ::bd_intf($path/[lindex $one 0]) [lrange $one 1 end]
	}
	foreach one $plain {
		set ::bd_pin($path/[lindex $one 0]) [lindex $one 1]
	}
}

proc create_bd_cell {args} {
	set name [bare [lindex $args end]]
	array set given [lrange $args 0 end-1]
	if {[info exists ::bd_cell($name)]} {
		refuse "\[BD 5-145\] cell <$name> exists"
	}
	set ::bd_cell($name) $given(-type)
	switch $given(-type) {
		module {
			add_module $name $given(-reference)
		}
		hier {
			if {[info exists given(-reference)]} {
				set ::bd_cell($name) module
				add_module $name $given(-reference)
			}
		}
		ip {
			add_pins $name {*}[ip_of $given(-vlnv)]
			set ::vlnv($name) $given(-vlnv)
		}
		default {
			refuse "\[BD 5-390\] type $given(-type)"
		}
	}
	return $name
}

proc add_module {name module} {
	if {![info exists ::module_file($module)]} {
		refuse "\[filemgmt 56-195\] The reference '$module' is invalid: no such module in the project"
	}
	if {[file extension $::module_file($module)] ne ".v"} {
		refuse "\[filemgmt 56-195\] The reference '$module' is SystemVerilog; the top of a module reference is Verilog"
	}
	add_pins $name {*}[interfaces_of $module]
}

proc create_bd_pin {args} {
	array set given [lrange $args 0 end-1]
	set ::bd_pin([bare [lindex $args end]]) $given(-dir)
}

proc create_bd_intf_pin {args} {
	array set given [lrange $args 0 end-1]
	set kind [expr {[string match *aximm* $given(-vlnv)] ? "aximm" : "axis"}]
	set ::bd_intf([bare [lindex $args end]]) [list $kind $given(-mode) -1 0]
}

proc known {kind what path} {
	upvar #0 $what held
	set path [bare $path]
	if {![info exists held($path)]} {
		refuse "\[BD 5-232\] No $kind matched '$path'"
	}
	return $path
}

proc get_bd_pins {args} {
	return [known pins bd_pin [lindex $args end]]
}

proc get_bd_cells {args} {
	return [known cells bd_cell [lindex $args end]]
}

proc get_bd_ports {args} {
	return [known ports bd_external [lindex $args end]]
}

proc connect_bd_net {args} {
	lassign $args source target
	foreach one $args {
		incr ::bd_net($one)
	}
	# What drives and what is driven: a port of the design, or an output, drives.
	set drivers 0
	foreach one $args {
		if {[info exists ::bd_external($one)] || ($::bd_pin($one) eq "O")} {
			incr drivers
		}
	}
	if {$drivers > 1} {
		refuse "\[BD 41-1306\] $source and $target both drive the net"
	}
}

proc make_bd_pins_external {path} {
	incr ::bd_net($path)
	set ::bd_external([file tail $path]_0) pin
}

proc make_bd_intf_pins_external {path} {
	set ::bd_external([file tail $path]_0) [list intf $path]
	lappend ::bd_link($path) external
}

proc rename_port {old new} {
	set ::bd_external($new) $::bd_external($old)
	if {$old ne $new} {
		unset ::bd_external($old)
	}
}

proc connect_bd_intf_net {args} {
	lassign $args one two
	foreach path $args {
		if {![info exists ::bd_intf($path)]} {
			refuse "\[BD 5-232\] No interface pins matched '$path'"
		}
	}
	lassign $::bd_intf($one) kind_one mode_one width_one
	lassign $::bd_intf($two) kind_two mode_two width_two
	set cells [list [parent_of $one] [parent_of $two]]
	set boundary [expr {[parent_of [lindex $cells 0]] eq [lindex $cells 1] || [parent_of [lindex $cells 1]] eq [lindex $cells 0]}]
	if {[parent_of [lindex $cells 0]] eq "" && [parent_of [lindex $cells 1]] eq ""} {
		set boundary 0
	}
	if {($mode_one eq $mode_two) != $boundary} {
		refuse "\[BD 41-171\] $one ($mode_one) and $two ($mode_two) cannot be connected"
	}
	set control {axilite aximm}
	if {$kind_one ne $kind_two && !($kind_one in $control && $kind_two in $control)} {
		refuse "\[BD 41-171\] $one is $kind_one, $two is $kind_two"
	}
	if {$kind_one eq "axis" && $width_one > 0 && $width_two > 0 && $width_one != $width_two} {
		refuse "\[BD 41-237\] TDATA of $one has $width_one bits, of $two $width_two"
	}
	if {$kind_one eq "axis" && $width_one < 0} {
		lset ::bd_intf($one) 2 $width_two
	} elseif {$kind_one eq "axis" && $width_two < 0} {
		lset ::bd_intf($two) 2 $width_one
	}
	foreach path $args other [list $two $one] {
		set inner [expr {$boundary && [parent_of [parent_of $other]] eq [parent_of $path]}]
		set side [expr {$inner ? "inner" : "outer"}]
		if {[info exists ::bd_link($path)] && $side in $::bd_link($path)} {
			refuse "\[BD 41-700\] $path is connected twice"
		}
		lappend ::bd_link($path) $side
	}
}

proc assign_bd_address {args} {
	set segment [lindex $args end]
	array set given [lrange $args 0 end-1]
	set offset [expr {$given(-offset)}]
	set range [expr {[string match *M $given(-range)] ? [string trimright $given(-range) M] << 20 : $given(-range)}]
	if {$range & ($range - 1) || $offset % $range} {
		refuse "\[BD 41-1051\] offset $given(-offset) is not aligned to range $range of $segment"
	}
	set space $given(-target_address_space)
	foreach {known place} [array get ::bd_address $space,*] {
		if {$offset < [lindex $place 0] + [lindex $place 1] && [lindex $place 0] < $offset + $range} {
			refuse "\[BD 41-1075\] $segment overlaps [lindex [split $known ,] 1]"
		}
	}
	set ::bd_address($space,$segment) [list $offset $range]
}

proc get_bd_addr_spaces {path} {
	lassign [split $path /] name space
	if {![info exists ::bd_cell($name)] || $space ni {Data Data_m_axi_gmem}} {
		refuse "\[BD 5-232\] No address space matched '$path'"
	}
	return $path
}

proc get_bd_addr_segs {args} {
	set path [lindex $args end]
	set interface [parent_of $path]
	if {![info exists ::bd_intf($interface)]} {
		refuse "\[BD 5-232\] No address segment matched '$path'"
	}
	return $path
}

# Clocks, resets and streams of every cell have to be connected, memory-mapped slaves have to have an address.
proc validate_bd_design {} {
	foreach path [lsort [array names ::bd_pin]] {
		set name [file tail $path]
		if {[regexp -nocase {^(ap_clk|ap_clk2x|ap_rst_n|aclk|aresetn|\w+_aclk|\w+_aresetn|slowest_sync_clk|ext_reset_in)$} $name]} {
			if {![info exists ::bd_net($path)] && $::bd_pin($path) eq "I"} {
				refuse "\[BD 41-758\] The following clock or reset pins are not connected: /$path"
			}
		}
	}
	foreach path [lsort [array names ::bd_intf]] {
		lassign $::bd_intf($path) kind mode
		set owner [parent_of $path]
		set wanted [expr {$::bd_cell($owner) eq "hier" ? 2 : 1}]
		set got [expr {[info exists ::bd_link($path)] ? [llength $::bd_link($path)] : 0}]
		# Weights and thresholds at run time are an option of FINN's modules: registers, and a stream that chooses sets.
		if {$kind eq "axilite" && $::bd_cell($owner) eq "module"} continue
		if {[string match *_wstrm/s_axis_0 $path] || [string match Thresholding_*/in1_V $path]} continue
		if {$got < $wanted} {
			refuse "\[BD 41-759\] The following interface is not connected: /$path"
		}
		if {$kind eq "axilite" && $::design_name eq "top" && [array names ::bd_address "*,$path/*"] eq ""} {
			refuse "\[BD 41-1356\] Slave segment of /$path is not assigned"
		}
	}
}
