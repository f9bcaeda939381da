# Stands in for Vitis HLS: checks script, C++ and headers, and leaves an IP with the interfaces that the pragmas name.

source [file join [file dirname [info script]] common.tcl]

set headers {hls_stream.h ap_int.h ap_fixed.h hls_math.h hls_vector.h cstdint cmath}
array set project {name {} file {} top {} part {} period {} include {}}

proc open_project {name} {
	set ::project(name) $name
}

proc add_files {path option flags} {
	if {$option ne "-cflags"} {
		refuse "\[HLS 200-70\] add_files: unknown option $option"
	}
	if {![file isfile $path]} {
		refuse "\[HLS 200-642\] The file '$path' does not exist"
	}
	set ::project(file) $path
	set ::project(include) [list [file dirname $path]]
	foreach {all folder} [regexp -all -inline -- {-I(\S+)} $flags] {
		lappend ::project(include) $folder
	}
}

proc set_top {name} {
	set ::project(top) $name
}

proc open_solution {name} {}

proc set_part {part} {
	if {$part ne "xc7z020clg400-1"} {
		refuse "\[HLS 200-1023\] Part '$part' is not installed"
	}
	set ::project(part) $part
}

proc create_clock {args} {
	array set given $args
	if {![string is double -strict $given(-period)] || $given(-period) <= 0} {
		refuse "\[HLS 200-101\] period $given(-period) is no time"
	}
	set ::project(period) $given(-period)
}

proc set_param {name value} {}
proc config_compile {args} {}
proc config_interface {args} {}
proc config_rtl {args} {}

# Every header that the sources include has to lie where the script looks.
proc check_headers {path seen} {
	upvar $seen done
	foreach {all name} [regexp -all -inline -line {^\s*#include\s+"([^"]+)"} [slurp $path]] {
		if {$name in $::headers || [info exists done($name)]} continue
		set done($name) 1
		set found ""
		foreach folder [concat [file dirname $path] $::project(include)] {
			if {[file isfile [file join $folder $name]]} {
				set found [file join $folder $name]
				break
			}
		}
		if {$found eq ""} {
			refuse "\[HLS 207-4210\] '$name' file not found: [file tail $path]"
		}
		check_headers $found done
	}
}

proc csynth_design {} {
	global project
	if {[fault hls_error]} {
		refuse "\[HLS 207-3776\] use of undeclared identifier 'in1_V': [file tail $project(file)]:17:12"
	}
	set text [slurp $project(file)]
	array set done {}
	check_headers $project(file) done
	if {![regexp "void\\s+$project(top)\\s*\\((\[^\{\]*)\\)" $text all arguments]} {
		refuse "\[HLS 200-1485\] Top function '$project(top)' not found"
	}
	set ::interfaces {}
	set registers 0
	foreach argument [split $arguments ,] {
		regexp {(\w+)\s*$} $argument all port
		set width -1
		regexp {ap_uint<(\d+)} $argument all width
		if {[regexp "INTERFACE m_axi \[^\\n\]*port=$port\\M" $text]} {
			lappend ::interfaces [list m_axi_gmem aximm Master $width 64]
		} elseif {[regexp "INTERFACE axis port=$port\\M" $text]} {
			# An input is read: FINN's and this project's generated tops call it in0_V.
			lappend ::interfaces [list $port axis [expr {[string match in* $port] ? "Slave" : "Master"}] $width 0]
		} elseif {![regexp "INTERFACE s_axilite port=$port\\M" $text]} {
			refuse "\[HLS 214-208\] argument $port of $project(top) has no interface"
		}
	}
	if {[string match *s_axilite* $text]} {
		lappend ::interfaces [list s_axi_control axilite Slave 32 6]
	}
	puts "INFO: \[HLS 200-1470\] Pipelining result : Target II = 1, Final II = 1"
}

proc export_design {option format} {
	global project
	set ip [file join $project(name) sol1 impl ip]
	describe_ip [file join $ip component.xml] xilinx.com hls $project(top) $::interfaces {{ap_clk I} {ap_rst_n I}}
	spit [file join $project(name) sol1 impl verilog $project(top).v] "module $project(top) ();\nendmodule\n"
}

run_script [lindex $argv 0]
