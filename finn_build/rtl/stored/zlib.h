// zlib's format without compression: stored blocks between its header and its checksum. Why: see lz4.h.
#ifndef STORED_ZLIB_H
#define STORED_ZLIB_H

#include <cstdint>
#include <cstring>
#include <initializer_list>

typedef unsigned long uLong;
typedef uLong uLongf;
typedef unsigned char Bytef;
enum { Z_OK = 0, Z_BUF_ERROR = -5 };

inline uLong compressBound(uLong size) { return size + 5 * (size / 65535 + 1) + 6; }

inline int compress2(Bytef *to, uLongf *room, const Bytef *from, uLong size, int) {
	if (*room < compressBound(size)) return Z_BUF_ERROR;
	Bytef *at = to;
	*at++ = 0x78;
	*at++ = 0x01;
	uint32_t low = 1, high = 0;  // Adler-32
	for (uLong i = 0; i < size; ++i) {
		low = (low + from[i]) % 65521;
		high = (high + low) % 65521;
	}
	uLong done = 0;
	do {
		const uLong count = size - done < 65535 ? size - done : 65535;
		*at++ = done + count == size;
		*at++ = static_cast<Bytef>(count);
		*at++ = static_cast<Bytef>(count >> 8);
		*at++ = static_cast<Bytef>(~count);
		*at++ = static_cast<Bytef>(~count >> 8);
		std::memcpy(at, from + done, count);
		at += count;
		done += count;
	} while (done < size);
	for (const uint32_t half : {high, low}) {
		*at++ = static_cast<Bytef>(half >> 8);
		*at++ = static_cast<Bytef>(half);
	}
	*room = static_cast<uLong>(at - to);
	return Z_OK;
}

#endif
