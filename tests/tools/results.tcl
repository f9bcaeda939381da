# What the tools leave: checkpoints, reports in Vivado's own layout, the bitfile and the hardware description.

set runs {}

proc read_verilog {path} {
	add_files -norecurse $path
}

proc synth_design {args} {
	if {[fault licence]} {
		refuse "\[Common 17-345\] A valid license was not found for feature 'Synthesis' and/or device 'xc7z020'. Please run the Vivado License Manager for assistance in determining which features and devices are licensed for your system."
	}
}

proc opt_design {} {}

proc place_design {} {
	if {[file exists routed.dcp]} {
		return
	}
	if {[file tail [pwd]] eq "implementation"} {
		if {[fault disk_full]} {
			refuse "\[Common 17-680\] Path length or write error: No space left on device"
		}
		if {[fault kill_build]} {
			# As a power cut would: the build goes without a chance to say anything, and its tool with it.
			exec kill -9 $::env(STANDIN_BUILD)
			exec kill -9 [pid]
		}
	}
}

proc phys_opt_design {} {}
proc route_design {} {}

proc open_project {path} {
	if {![file isfile $path]} {
		refuse "\[Coretcl 2-418\] Project file not found: $path"
	}
	set ::project_folder [file dirname $path]
	set ::project [file rootname [file tail $path]]
}

proc get_runs {args} {
	return [expr {[lindex $args 0] eq "-filter" ? {synth_1 top_idma0_0_synth_1} : [lindex $args end]}]
}

proc run_folder {run} {
	return [file join $::project_folder $::project.runs $run]
}

proc run_property {name run} {
	set state [file join [run_folder $run] state]
	set value [expr {[file isfile $state] ? [string trim [slurp $state]] : "0%"}]
	return [expr {$name eq "PROGRESS" ? $value : $value eq "100%" ? "synth_design Complete!" : "synth_design ERROR"}]
}

proc reset_run {run} {
	file delete -force [run_folder $run]
}

proc launch_runs {run option jobs} {
	if {[run_property PROGRESS $run] eq "100%"} {
		refuse "\[Vivado 12-1088\] Run '$run' is complete; it has to be reset before it is launched again"
	}
	set log [file join [run_folder $run] runme.log]
	if {[fault synth_error]} {
		spit $log "INFO: \[Synth 8-7075\] Helper process launched\nERROR: \[Synth 8-439\] module 'cam_maps' not found \[StreamingDataflowPartition_1.v:96\]\nERROR: \[Common 17-69\] Command failed: Synthesis failed - please see the console or run log file for details\n"
		return
	}
	set text "INFO: \[Synth 8-7075\] Helper process launched\n"
	if {[fault memory]} {
		append text "CRITICAL WARNING: \[Synth 8-4445\] could not open \$readmem data file 'memblock.dat'; please make sure the file is added to project and has read permission, ignoring\n"
	}
	spit $log $text
	foreach one [get_runs -filter {}] {
		spit [file join [run_folder $one] state] "100%\n"
	}
}

proc wait_on_run {run} {}
proc open_run {args} {}

proc open_checkpoint {path} {
	if {![file isfile $path]} {
		refuse "\[Project 1-179\] Checkpoint file not found: $path"
	}
}

proc write_checkpoint {option path} {
	spit $path "PK stand-in checkpoint\n"
}

# Vivado's header, of which the user id is a part, and four bytes of data.
proc write_bitstream {option path} {
	set design "top_wrapper;UserID=[string toupper $::properties(top_wrapper,BITSTREAM.CONFIG.USERID)];Version=[given VERSION 2024.2]"
	set text [binary format SH18S 9 0ff00ff00ff00ff000 1]
	foreach {key value} [list a $design b 7z020clg400 c 2024/11/21 d 14:15:16] {
		append text $key [binary format S [expr {[string length $value] + 1}]] $value [binary format c 0]
	}
	append text e [binary format I 4] [binary format I 0xAA995566]
	set file [open $path wb]
	puts -nonewline $file $text
	close $file
}

proc report_utilization {args} {
	set path [lindex $args end]
	set hierarchical [expr {"-hierarchical" in $args}]
	set state [expr {[file tail [pwd]] eq "implementation" ? "Routed" : "Synthesized"}]
	set lut [given LUT 21543]
	set head "Copyright 1986-2022 Xilinx, Inc. All Rights Reserved. Copyright 2022-2024 Advanced Micro Devices, Inc. All Rights Reserved.
---------------------------------------------------------------------------------------------
| Tool Version : Vivado v.[given VERSION 2024.2] (lin64) Build 5239630 Fri Nov 08 22:34:34 MST 2024
| Command      : report_utilization $args
| Design       : top_wrapper
| Device       : xc7z020clg400-1
| Speed File   : -1
| Design State : $state
---------------------------------------------------------------------------------------------

Utilization Design Information
"
	spit $path [expr {$hierarchical ? "$head[hierarchy $lut]" : "$head[tables $lut $state]"}]
}

proc tables {lut state} {
	# Synthesis marks what place and route may still change.
	set star [expr {$state eq "Routed" ? " " : "*"}]
	set ff [given FF 29876]
	set bram [given BRAM 61.5]
	set dsp [given DSP 12]
	set text "
1. Slice Logic
--------------

+----------------------------+-------+-------+------------+-----------+-------+
|          Site Type         |  Used | Fixed | Prohibited | Available | Util% |
+----------------------------+-------+-------+------------+-----------+-------+
| Slice LUTs$star                | [format %5d $lut] |     0 |          0 |     53200 | [format %5.2f [expr {$lut / 532.0}]] |
|   LUT as Logic             | [format %5d [expr {$lut - 1200}]] |     0 |          0 |     53200 | 38.24 |
|   LUT as Memory            |  1200 |     0 |          0 |     17400 |  6.90 |
| Slice Registers            | [format %5d $ff] |     0 |          0 |    106400 | 28.08 |
|   Register as Flip Flop    | [format %5d $ff] |     0 |          0 |    106400 | 28.08 |
|   Register as Latch        |     0 |     0 |          0 |    106400 |  0.00 |
| F7 Muxes                   |   410 |     0 |          0 |     26600 |  1.54 |
+----------------------------+-------+-------+------------+-----------+-------+
"
	if {$state eq "Routed"} {
		append text "
2. Slice Logic Distribution
---------------------------

+--------------------------------------------+-------+-------+------------+-----------+-------+
|                  Site Type                 |  Used | Fixed | Prohibited | Available | Util% |
+--------------------------------------------+-------+-------+------------+-----------+-------+
| Slice                                      |  8912 |     0 |          0 |     13300 | 67.01 |
|   SLICEL                                   |  5802 |     0 |            |           |       |
+--------------------------------------------+-------+-------+------------+-----------+-------+
"
	}
	append text "
3. Memory
---------

+-------------------+------+-------+------------+-----------+-------+
|     Site Type     | Used | Fixed | Prohibited | Available | Util% |
+-------------------+------+-------+------------+-----------+-------+
| Block RAM Tile    | $bram |     0 |          0 |       140 | 43.93 |
|   RAMB36/FIFO*    |   40 |     0 |          0 |       140 | 28.57 |
|     RAMB36E1 only |   40 |       |            |           |       |
|   RAMB18          |   43 |     0 |          0 |       280 | 15.36 |
|     RAMB18E1 only |   43 |       |            |           |       |
+-------------------+------+-------+------------+-----------+-------+


4. DSP
------

+----------------+------+-------+------------+-----------+-------+
|    Site Type   | Used | Fixed | Prohibited | Available | Util% |
+----------------+------+-------+------------+-----------+-------+
| DSPs           |   $dsp |     0 |          0 |       220 |  5.45 |
|   DSP48E1 only |   $dsp |       |            |           |       |
+----------------+------+-------+------------+-----------+-------+
"
	return $text
}

proc hierarchy {lut} {
	set rule "+------------------------------------+----------------+------------+------------+---------+------+-------+--------+--------+------------+"
	set text "
1. Utilization by Hierarchy
---------------------------

$rule
|              Instance              |     Module     | Total LUTs | Logic LUTs | LUTRAMs | SRLs |  FFs  | RAMB36 | RAMB18 | DSP Blocks |
$rule
"
	foreach {name module lut ff big small dsp} [list \
		top_wrapper (top) $lut 29876 40 43 12 \
		"  top_i" top $lut 29876 40 43 12 \
		"    StreamingDataflowPartition_1" top_Stream 15000 21000 38 41 12 \
		"    control_0" top_control 620 800 0 0 0 \
		"    idma0" top_idma0 1200 1700 1 1 0 \
		"    memory_0" top_memory 3300 4100 0 0 0 \
		"    odma0" top_odma0 1400 2200 1 1 0] {
		append text [format "| %-34s | %14s | %10d | %10d | %7d | %4d | %5d | %6d | %6d | %10d |\n" \
			$name $module $lut [expr {$lut - 100}] 60 40 $ff $big $small $dsp]
	}
	return "$text$rule\n* Note: The sum of lower-level cells may be larger than their parent cells total, due to cross-hierarchy LUT combining\n"
}

proc report_timing_summary {args} {
	set wns [given WNS 0.343]
	set failing [expr {$wns < 0 ? 217 : 0}]
	set tns [expr {$wns < 0 ? -31.25 : 0.0}]
	set state [expr {$wns < 0 ? "Timing constraints are not met." : "All user specified timing constraints are met."}]
	set verdict [expr {$wns < 0 ? "VIOLATED" : "MET"}]
	spit [lindex $args end] "------------------------------------------------------------------------------------------------
| Design Timing Summary
| ---------------------
------------------------------------------------------------------------------------------------

    WNS(ns)      TNS(ns)  TNS Failing Endpoints  TNS Total Endpoints      WHS(ns)      THS(ns)  THS Failing Endpoints  THS Total Endpoints     WPWS(ns)     TPWS(ns)  TPWS Failing Endpoints  TPWS Total Endpoints  
    -------      -------  ---------------------  -------------------      -------      -------  ---------------------  -------------------     --------     --------  ----------------------  --------------------  
[format {%11.3f  %11.3f  %21d  %19d  %11.3f  %11.3f  %21d  %19d  %11.3f  %11.3f  %22d  %20d  } $wns $tns $failing 92471 0.016 0.0 0 92471 3.75 0.0 0 42563]


$state


------------------------------------------------------------------------------------------------
| Clock Summary
| -------------
------------------------------------------------------------------------------------------------

Clock       Waveform(ns)       Period(ns)      Frequency(MHz)
-----       ------------       ----------      --------------
clk_fpga_0  {0.000 5.000}      10.000          100.000         


------------------------------------------------------------------------------------------------
| Timing Details
| --------------
------------------------------------------------------------------------------------------------


---------------------------------------------------------------------------------------------------
From Clock:  clk_fpga_0
  To Clock:  clk_fpga_0

Max Delay Paths
--------------------------------------------------------------------------------------
Slack ($verdict) :        ${wns}ns  (required time - arrival time)
  Source:                 top_i/StreamingDataflowPartition_1/inst/MVAU_rtl_4/out_reg\[3\]/C
                            (rising edge-triggered cell FDRE clocked by clk_fpga_0  {rise@0.000ns fall@5.000ns period=10.000ns})
  Destination:            top_i/StreamingDataflowPartition_1/inst/Thresholding_rtl_4/ptr_reg\[1\]/D
  Path Group:             clk_fpga_0
"
}

proc report_power {option path} {
	spit $path "+--------------------------+--------------+\n| Total On-Chip Power (W)  | 2.145        |\n| Design Power Budget (W)  | Unspecified* |\n+--------------------------+--------------+\n"
}

proc report_route_status {option path} {
	spit $path "Design Route Status\n"
}

# The hardware description, as far as pynq and this project read it.
proc write_hwh {path} {
	set text "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"no\" ?>\n<EDKSYSTEM EDWVERSION=\"1.2\" TIMESTAMP=\"Sat Jan  1 00:00:00 2022\" VIVADOVERSION=\"[given VERSION 2024.2]\">\n"
	append text "  <SYSTEMINFO ARCH=\"zynq\" BOARD=\"tul.com.tw:pynq-z2:part0:1.0\" DEVICE=\"7z020\" NAME=\"top\" PACKAGE=\"clg400\" SPEEDGRADE=\"-1\"/>\n  <EXTERNALPORTS/>\n  <EXTERNALINTERFACES/>\n  <MODULES>\n"
	foreach name [lsort [array names ::vlnv]] {
		lassign [split $::vlnv($name) :] vendor library type version
		append text "    <MODULE FULLNAME=\"/$name\" HWVERSION=\"$version\" INSTANCE=\"$name\" IPTYPE=\"PERIPHERAL\" IS_ENABLE=\"1\" MODCLASS=\"PERIPHERAL\" MODTYPE=\"$type\" VLNV=\"$::vlnv($name)\">\n"
		if {$library eq "hls"} {
			append text "      <ADDRESSBLOCKS>\n        <ADDRESSBLOCK ACCESS=\"read-write\" INTERFACE=\"s_axi_control\" NAME=\"Reg\" RANGE=\"65536\" USAGE=\"register\">\n          <REGISTERS>\n"
			foreach {register offset} {CTRL 0 in0_V_1 16 in0_V_2 20 numReps 28} {
				append text "            <REGISTER NAME=\"$register\">\n              <PROPERTY NAME=\"ADDRESS_OFFSET\" VALUE=\"$offset\"/>\n            </REGISTER>\n"
			}
			append text "          </REGISTERS>\n        </ADDRESSBLOCK>\n      </ADDRESSBLOCKS>\n"
		}
		append text "      <PARAMETERS>\n"
		foreach known [lsort [array names ::properties $name,CONFIG.*]] {
			append text "        <PARAMETER NAME=\"[string range $known [string length $name,CONFIG.] end]\" VALUE=\"$::properties($known)\"/>\n"
		}
		append text "      </PARAMETERS>\n      <PORTS/>\n"
		if {$name eq "zynq_ps"} {
			append text "      <MEMORYMAP>\n"
			foreach known [lsort [array names ::bd_address zynq_ps/Data,*]] {
				lassign $::bd_address($known) offset range
				lassign [split [lindex [split $known ,] 1] /] instance interface
				append text [format "        <MEMRANGE ADDRESSBLOCK=\"Reg\" BASENAME=\"C_BASEADDR\" BASEVALUE=\"0x%08X\" HIGHNAME=\"C_HIGHADDR\" HIGHVALUE=\"0x%08X\" INSTANCE=\"%s\" IS_DATA=\"TRUE\" IS_INSTRUCTION=\"TRUE\" MASTERBUSINTERFACE=\"M_AXI_GP0\" MEMTYPE=\"REGISTER\" SLAVEBUSINTERFACE=\"%s\"/>\n" $offset [expr {$offset + $range - 1}] $instance $interface]
			}
			append text "      </MEMORYMAP>\n"
		}
		append text "    </MODULE>\n"
	}
	spit $path "$text  </MODULES>\n</EDKSYSTEM>\n"
}
