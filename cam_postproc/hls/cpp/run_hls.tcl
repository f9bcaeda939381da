# Vitis HLS: C simulation, synthesis, co-simulation and IP export of the CAM block.
# Run in this folder:  vitis_hls -f run_hls.tcl
open_project -reset cam_hls
set_top cam_top
add_files cam_top.cpp
add_files -tb cam_tb.cpp
add_files -tb golden.txt
open_solution -reset solution
set_part @PART@
create_clock -period @PERIOD@ -name default
config_interface -s_axilite_auto_restart_counter 0
csim_design
csynth_design
cosim_design -rtl verilog
export_design -format ip_catalog -display_name "Class activation maps" -ipname cam -version 1.0
exit
