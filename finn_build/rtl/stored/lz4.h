// LZ4's block format without compression: literals alone, which every reader of the format takes.
//
// Verilator's FST writer wants liblz4, which this project does not ask a machine to have. Waveforms of a window of cycles
// are small enough as they are.
#ifndef STORED_LZ4_H
#define STORED_LZ4_H

#include <cstring>

inline int LZ4_compressBound(int size) { return size + size / 255 + 16; }

// A token with the number of literals, its continuation in bytes of 255, and the literals: the block's only sequence.
inline int LZ4_compress_default(const char *from, char *to, int size, int) {
	char *at = to;
	*at++ = static_cast<char>((size < 15 ? size : 15) << 4);
	if (size >= 15) {
		int rest = size - 15;
		for (; rest >= 255; rest -= 255) *at++ = static_cast<char>(255);
		*at++ = static_cast<char>(rest);
	}
	std::memcpy(at, from, static_cast<std::size_t>(size));
	return static_cast<int>(at - to) + size;
}

#endif
