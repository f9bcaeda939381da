# Verilog as far as a block design looks at it: which modules a file defines, with which ports, and what it reads.

array set module_file {}
array set module_ports {}

# Reads a file's modules; two files must not define the same.
proc read_module_file {path} {
	global module_file module_ports
	set text [slurp $path]
	foreach {all name} [regexp -all -inline {"([^"\n%]+\.(?:dat|mem))"} $text] {
		if {![file isfile $name] || [file pathtype $name] ne "absolute"} {
			refuse "\[Synth 8-4445\] could not open \$readmem data file '$name'; read by [file tail $path]"
		}
	}
	foreach {all prefix} [regexp -all -inline {THRESHOLDS_PATH\s*=\s*"([^"]+)"} $text] {
		if {[llength [glob -nocomplain $prefix*.dat]] == 0} {
			refuse "\[Synth 8-4445\] could not open \$readmem data file '$prefix*.dat'; read by [file tail $path]"
		}
	}
	regsub -all {//[^\n]*} $text "" text
	regsub -all {/\*.*?\*/} $text "" text
	foreach {all name rest} [regexp -all -inline {\mmodule\s+(?:automatic\s+)?(\w+)\s*(.*?\)\s*;)} $text] {
		if {[info exists module_file($name)] && $module_file($name) ne $path} {
			refuse "\[Synth 8-2490\] overwriting previous definition of module '$name': $path and $module_file($name)"
		}
		set module_file($name) $path
		set module_ports($name) [ports_of $rest]
	}
}

# {name direction width} of each port; a width that takes parameters is -1.
proc ports_of {header} {
	set found {}
	set pattern {\m(input|output)\M\s*(?:wire|reg|logic)?\s*(\[[^\]]*\])?\s*(\w+)}
	foreach {all direction range name} [regexp -all -inline $pattern $header] {
		set width 1
		if {$range ne ""} {
			set width -1
			if {[regexp {^\[([\d+*/() -]+):0\]$} $range all high]} {
				set width [expr "$high + 1"]
			}
		}
		lappend found [list $name [expr {$direction eq "input" ? "I" : "O"}] $width]
	}
	return $found
}

# Interfaces and plain pins of a module: NAME_TDATA with its handshake is a stream, NAME_AWADDR a memory-mapped one.
proc interfaces_of {name} {
	set streams {}
	set plain {}
	foreach port $::module_ports($name) {
		lassign $port port_name direction width
		if {[regexp -nocase {^(\w+)_TDATA$} $port_name all stream]} {
			lappend streams [list $stream axis [expr {$direction eq "I" ? "Slave" : "Master"}] $width 0]
		} elseif {[regexp -nocase {^(\w+)_AWADDR$} $port_name all stream]} {
			lappend streams [list $stream axilite [expr {$direction eq "I" ? "Slave" : "Master"}] 32 12]
		} elseif {![regexp -nocase {_(T|AW|AR|W|R|B)[A-Z]+$} $port_name]} {
			lappend plain [list $port_name $direction]
		}
	}
	return [list $streams $plain]
}
