# What both stand-ins share: how they fail, and the faults that a test asks for.

proc fault {name} {
	return [expr {[info exists ::env(STANDIN_FAULT)] && $name in [split $::env(STANDIN_FAULT) ,]}]
}

proc given {name default} {
	return [expr {[info exists ::env(STANDIN_$name)] ? $::env(STANDIN_$name) : $default}]
}

# An error as the tools tell it: a line in the log, then the script ends.
proc refuse {line} {
	puts "ERROR: $line"
	return -code error -level 2 $line
}

proc slurp {path} {
	set file [open $path r]
	fconfigure $file -encoding utf-8
	set text [read $file]
	close $file
	return $text
}

proc spit {path text} {
	file mkdir [file dirname $path]
	set file [open $path w]
	fconfigure $file -encoding utf-8
	puts -nonewline $file $text
	close $file
}

# An IP's description; interfaces are {name kind mode width address_bits}, ports {name direction}.
proc describe_ip {path vendor library name interfaces ports} {
	set text "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<spirit:component>\n"
	foreach {tag value} [list vendor $vendor library $library name $name version 1.0] {
		append text "  <spirit:$tag>$value</spirit:$tag>\n"
	}
	foreach one $interfaces {
		append text "  <spirit:busInterface>[join $one { }]</spirit:busInterface>\n"
	}
	foreach one $ports {
		append text "  <spirit:port>[join $one { }]</spirit:port>\n"
	}
	append text "  <spirit:fileSets>\n    <spirit:fileSet>\n      <spirit:name>sources</spirit:name>\n    </spirit:fileSet>\n"
	append text "  </spirit:fileSets>\n</spirit:component>\n"
	spit $path $text
}

# Runs a script as the tools do: an error ends the tool with status 1.
proc run_script {path} {
	if {[catch {uplevel #0 [list source $path]} message options]} {
		puts "ERROR: \[Common 17-39\] the script failed: [lindex [split $message \n] 0]"
		puts "    while executing line [dict get $options -errorline] of $path"
		if {[info exists ::env(STANDIN_TRACE)]} {
			puts [dict get $options -errorinfo]
		}
		exit 1
	}
	exit 0
}
