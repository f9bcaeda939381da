"""How the data of a stand-in bitfile begins; a JSON object with what a real one would make of the chip follows."""

MARK = b"FINN-CAM EMULATED\0"
