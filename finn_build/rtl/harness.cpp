// Drives a Verilated design whose ports are AXI streams: words come from files, words go to files.
//
// design.inc, generated beside this file's copy, names the top and lists its ports:
//   TOP, INPUTS(X), OUTPUTS(X), SCALARS(X), LITES(X) with X(index, port), PROBES (streams watched, 0 for none), FIFOS.
// The plan (first argument) is a text file, a statement a line, with file names in double quotes:
//   in INDEX FILE WORDS FRAME_WORDS      words to send; a word is ceil(bits / 8) bytes, little-endian
//   out INDEX FILE WORDS FRAME_WORDS     words wanted
//   behind INDEX LIBRARY FRAMES FRAME_WORDS PACKET_BYTES WORD_BYTES BANKS FILE
//                                        a CAM block's C++ takes output INDEX's words; its packets go to FILE
//   scalar INDEX BEAT VALUE              drive a plain input from input 0's word BEAT on
//   write INDEX INPUT BEAT ADDRESS VALUE on AXI-lite port INDEX, in this order; word BEAT of that input waits for it
//   read INDEX INPUT BEAT ADDRESS        likewise; what was read stands in the report
//   stalls SEED PERCENT                  each side of each stream pauses at random
//   idle CYCLES | surplus CYCLES | limit CYCLES
//   probe INDEX FRAME_WORDS              words of an image on a watched stream, for the timeline
//   trace FILE FROM TO                   waveform of these cycles, where compiled in
//   report FILE
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iomanip>
#include <iostream>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include <dlfcn.h>

#include "verilated.h"
#include "design.inc"
#ifdef WITH_TRACE
#include "verilated_fst_c.h"
#endif

namespace {

template <class T>
void put(T& port, const uint8_t* bytes, size_t count) {
	uint64_t value = 0;
	std::memcpy(&value, bytes, count);
	port = static_cast<T>(value);
}

template <std::size_t N>
void put(VlWide<N>& port, const uint8_t* bytes, size_t count) {
	std::memset(port.data(), 0, N * sizeof(EData));
	std::memcpy(port.data(), bytes, count);
}

template <class T>
void set(T& port, uint64_t value) {
	port = static_cast<T>(value);
}

template <class T>
void get(const T& port, uint8_t* bytes, size_t count) {
	const uint64_t value = port;
	std::memcpy(bytes, &value, count);
}

template <std::size_t N>
void get(const VlWide<N>& port, uint8_t* bytes, size_t count) {
	std::memcpy(bytes, port.data(), count);
}

template <class T>
bool bit(const T& port, size_t index) {
	return (static_cast<uint64_t>(port) >> index) & 1;
}

template <std::size_t N>
bool bit(const VlWide<N>& port, size_t index) {
	return (port.data()[index / 32] >> (index % 32)) & 1;
}

template <class T>
uint32_t word32(const T& port, size_t index) {
	return static_cast<uint32_t>(static_cast<uint64_t>(port) >> (32 * index));
}

template <std::size_t N>
uint32_t word32(const VlWide<N>& port, size_t index) {
	return port.data()[index];
}

struct Random {
	uint64_t state;
	explicit Random(uint64_t seed) : state(seed * 0x9E3779B97F4A7C15ull + 0x1234567) {}
	uint32_t percent() {
		state ^= state << 13;
		state ^= state >> 7;
		state ^= state << 17;
		return static_cast<uint32_t>((state >> 11) % 100);
	}
};

struct Side {
	std::string file;
	uint64_t words = 0, frame_words = 1, done = 0;
	std::vector<uint8_t> data;
	std::vector<uint64_t> first, last;  // cycle of each frame's first and last word
	bool offered = false;
	Random random{0};
	void moved(uint64_t cycle) {
		if (done % frame_words == 0) first.push_back(cycle);
		++done;
		if (done % frame_words == 0) last.push_back(cycle);
	}
};

struct Setting {
	size_t index;
	uint64_t beat, value;
};

struct Access {
	bool write;
	size_t input;
	uint64_t beat, address, value;
};

// An AXI-lite master that makes one access after the other.
struct Lite {
	std::vector<Access> accesses;
	size_t next = 0;
	bool started = false, address_sent = false, data_sent = false;
	std::vector<uint64_t> answers;
	bool waits(size_t input, uint64_t beat) const {
		return next < accesses.size() && accesses[next].input == input && accesses[next].beat <= beat;
	}
};

struct Watch {
	uint64_t frame_words = 0, beats = 0;
	std::vector<uint64_t> first, last;
};

std::string joined(const std::vector<uint64_t>& values) {
	std::ostringstream text;
	text << "[";
	for (size_t i = 0; i < values.size(); ++i) text << (i ? "," : "") << values[i];
	text << "]";
	return text.str();
}

[[noreturn]] void fail(const std::string& what) {
	std::cerr << "harness: " << what << "\n";
	std::exit(2);
}

// The C++ of a CAM block behind a stream of the design, in a library of its own: it holds weights, which change more
// often than the design. It takes no time: a frame's packet is there with the frame's last word. Like the hardware it
// has room for one packet that is sent and one that waits, and takes no words while both are full.
struct Behind {
	static constexpr unsigned ARGMAX = 0xFFFFFFFFu;
	static constexpr int NO_GATE = INT32_MIN;
	using Frame = int (*)(const uint8_t*, int, unsigned, int, unsigned, const unsigned*, uint8_t*, char*, int);
	size_t output = 0;
	std::string library, banks_file, file;
	uint64_t frames = 0, frame_words = 0, packet_bytes = 0, word_bytes = 1;
	Frame frame = nullptr;
	std::vector<uint8_t> words, data, packet;
	std::vector<unsigned> banks;
	uint64_t made = 0, sent = 0;  // bytes
	Random random{0};
	bool open() const { return !library.empty(); }
	bool full() const { return made - sent > packet_bytes; }
	void take(const uint8_t* word, size_t bytes) {
		words.insert(words.end(), word, word + bytes);
		if (words.size() < frame_words * bytes) return;
		char message[256] = "";
		const int failed = frame(words.data(), static_cast<int>(bytes), ARGMAX, NO_GATE, 0, banks.data(), packet.data(),
		                         message, sizeof message);
		if (failed)
			fail(library + ": " + message);
		data.insert(data.end(), packet.begin(), packet.end());
		made += packet_bytes;
		words.clear();
	}
};

}  // namespace

int main(int argc, char** argv) {
	if (argc < 2) fail("no plan given");
	constexpr size_t input_count = 0
#define X(index, port) +1
		INPUTS(X);
	constexpr size_t output_count = 0 OUTPUTS(X);
	constexpr size_t scalar_count = 0 SCALARS(X);
	constexpr size_t lite_count = 0 LITES(X);
#undef X
	std::vector<Lite> lites(lite_count);
	std::vector<Side> in(input_count), out(output_count);
	std::vector<Setting> settings;
	std::vector<uint64_t> scalars(scalar_count, 0);
	std::vector<Watch> watches(PROBES);
	Behind behind;
	uint64_t seed = 0, idle_limit = 100000, surplus = 64, limit = ~0ull, trace_from = 0, trace_to = 0;
	uint32_t stall_percent = 0;
	std::string report, trace_file;

	std::ifstream plan(argv[1]);
	if (!plan) fail(std::string("cannot read ") + argv[1]);
	for (std::string line; std::getline(plan, line);) {
		std::istringstream words(line);
		std::string verb;
		size_t index = 0;
		words >> verb;
		if (verb == "in" || verb == "out") {
			words >> index;
			Side& side = verb == "in" ? in.at(index) : out.at(index);
			words >> std::quoted(side.file) >> side.words >> side.frame_words;
		} else if (verb == "scalar") {
			Setting setting{};
			words >> setting.index >> setting.beat >> setting.value;
			settings.push_back(setting);
		} else if (verb == "behind") {
			words >> behind.output >> std::quoted(behind.library) >> behind.frames >> behind.frame_words >> behind.packet_bytes
			      >> behind.word_bytes >> std::quoted(behind.banks_file) >> std::quoted(behind.file);
		} else if (verb == "write" || verb == "read") {
			Access access{};
			access.write = verb == "write";
			words >> index >> access.input >> access.beat >> access.address;
			if (access.write) words >> access.value;
			lites.at(index).accesses.push_back(access);
		} else if (verb == "stalls") {
			words >> seed >> stall_percent;
		} else if (verb == "idle") {
			words >> idle_limit;
		} else if (verb == "surplus") {
			words >> surplus;
		} else if (verb == "limit") {
			words >> limit;
		} else if (verb == "probe") {
			words >> index;
			words >> watches.at(index).frame_words;
		} else if (verb == "trace") {
			words >> std::quoted(trace_file) >> trace_from >> trace_to;
		} else if (verb == "report") {
			words >> std::quoted(report);
		} else if (!verb.empty()) {
			fail("unknown statement " + verb);
		}
		if (words.fail()) fail("bad statement: " + line);
	}

	VerilatedContext context;
	context.commandArgs(argc, argv);
	auto top = std::make_unique<TOP>(&context);

	std::vector<size_t> in_bytes, out_bytes;
#define X(index, port) in_bytes.push_back((port##_BITS + 7) / 8);
	INPUTS(X)
#undef X
#define X(index, port) out_bytes.push_back((port##_BITS + 7) / 8);
	OUTPUTS(X)
#undef X
	for (size_t i = 0; i < in.size(); ++i) {
		std::ifstream file(in[i].file, std::ios::binary);
		if (!file) fail("cannot read " + in[i].file);
		in[i].data.assign(std::istreambuf_iterator<char>(file), {});
		if (in[i].data.size() < in[i].words * in_bytes[i]) fail(in[i].file + " is truncated");
		in[i].random = Random(seed + 2 * i + 1);
	}
	uint64_t wanted = 0;
	for (size_t i = 0; i < out.size(); ++i) {
		out[i].random = Random(seed + 2 * i + 2);
		out[i].data.reserve(out[i].words * out_bytes[i]);
		wanted += out[i].words;
	}

	if (behind.open()) {
		void* library = dlopen(behind.library.c_str(), RTLD_NOW);
		if (!library) fail(dlerror());
		behind.frame = reinterpret_cast<Behind::Frame>(dlsym(library, "cam_csim_words"));
		if (!behind.frame) fail(dlerror());
		std::ifstream file(behind.banks_file, std::ios::binary);
		if (!file) fail("cannot read " + behind.banks_file);
		const std::string banks{std::istreambuf_iterator<char>(file), {}};
		behind.banks.resize(banks.size() / sizeof(unsigned));
		std::memcpy(behind.banks.data(), banks.data(), behind.banks.size() * sizeof(unsigned));
		behind.packet.resize(behind.packet_bytes);
		behind.random = Random(seed + 2 * out.size() + 2);
		wanted += behind.frames * (behind.packet_bytes / behind.word_bytes);
	}

	uint64_t cycle = 0, idle = 0, delivered = 0, after = 0;
	bool excess = false;
#ifdef WITH_TRACE
	VerilatedFstC trace;
	if (!trace_file.empty()) {
		context.traceEverOn(true);
		top->trace(&trace, 99);
		trace.open(trace_file.c_str());
	}
	const auto dump = [&](uint64_t half) {
		if (!trace_file.empty() && cycle >= trace_from && cycle < trace_to) trace.dump(2 * cycle + half);
	};
#else
	if (!trace_file.empty()) fail("built without waveforms");
	const auto dump = [](uint64_t) {};
#endif

	const auto tick_inputs = [&]() {
#define X(index, port) top->port##_TVALID = in[index].offered;
		INPUTS(X)
#undef X
	};
	top->ap_rst_n = 0;
	tick_inputs();
#define X(index, port) top->port##_TREADY = 0;
	OUTPUTS(X)
#undef X
#define X(index, port) top->port##_AWVALID = top->port##_WVALID = top->port##_ARVALID = 0;
	LITES(X)
#undef X
	for (int i = 0; i < 20; ++i) {
#define X(index, port) put(top->port, reinterpret_cast<const uint8_t*>(&scalars[index]), 8);
		SCALARS(X)
#undef X
		top->ap_clk = 0;
		top->eval();
		top->ap_clk = 1;
		top->eval();
	}
	top->ap_rst_n = 1;

	const auto held = [&](size_t input, uint64_t beat) {
		for (const Lite& lite : lites)
			if (lite.waits(input, beat)) return true;
		return false;
	};

	const auto begin = std::chrono::steady_clock::now();
	auto told = begin;
	std::string status = "done";
	while (true) {
		top->ap_clk = 0;
		for (const Setting& setting : settings)
			if (!in.empty() && in[0].done >= setting.beat) scalars.at(setting.index) = setting.value;
#define X(index, port) put(top->port, reinterpret_cast<const uint8_t*>(&scalars[index]), 8);
		SCALARS(X)
#undef X
#define X(index, port)                                                                                    \
	{                                                                                                       \
		Side& side = in[index];                                                                               \
		if (!side.offered && side.done < side.words && !held(index, side.done) && (!stall_percent || side.random.percent() >= stall_percent)) { \
			side.offered = true;                                                                                \
			put(top->port##_TDATA, side.data.data() + side.done * in_bytes[index], in_bytes[index]);            \
		}                                                                                                     \
	}
		INPUTS(X)
#undef X
		tick_inputs();
#define X(index, port)                                                                              \
	{                                                                                                 \
		Lite& lite = lites[index];                                                                      \
		const bool more = lite.next < lite.accesses.size();                                             \
		if (more && !lite.started && in[lite.accesses[lite.next].input].done >= lite.accesses[lite.next].beat) \
			lite.started = true;                                                                          \
		const Access access = more ? lite.accesses[lite.next] : Access{};                               \
		set(top->port##_AWADDR, access.address);                                                        \
		set(top->port##_ARADDR, access.address);                                                        \
		top->port##_WDATA = static_cast<uint32_t>(access.value);                                        \
		top->port##_WSTRB = 0xF;                                                                        \
		top->port##_AWVALID = lite.started && access.write && !lite.address_sent;                       \
		top->port##_WVALID = lite.started && access.write && !lite.data_sent;                           \
		top->port##_ARVALID = lite.started && !access.write && !lite.address_sent;                      \
		top->port##_BREADY = lite.started && access.write;                                              \
		top->port##_RREADY = lite.started && !access.write;                                             \
	}
		LITES(X)
#undef X
#define X(index, port) \
	top->port##_TREADY = out[index].offered = (!stall_percent || out[index].random.percent() >= stall_percent) && \
		!(behind.open() && behind.output == index && behind.full());
		OUTPUTS(X)
#undef X
		top->eval();
		dump(0);
		bool moved = false;
		if (behind.made > behind.sent && (!stall_percent || behind.random.percent() >= stall_percent)) {
			behind.sent += behind.word_bytes;
			if (behind.sent <= behind.frames * behind.packet_bytes) ++delivered;
			moved = true;
		}
#define X(index, port)                                \
	if (in[index].offered && top->port##_TREADY) {      \
		in[index].moved(cycle);                           \
		in[index].offered = false;                        \
		moved = true;                                     \
	}
		INPUTS(X)
#undef X
#define X(index, port)                                                      \
	if (out[index].offered && top->port##_TVALID) {                           \
		Side& side = out[index];                                                \
		const size_t at = side.data.size();                                     \
		side.data.resize(at + out_bytes[index]);                                \
		get(top->port##_TDATA, side.data.data() + at, out_bytes[index]);        \
		if (side.done < side.words) ++delivered; else excess = true;            \
		side.moved(cycle);                                                      \
		moved = true;                                                           \
		if (behind.open() && behind.output == index) behind.take(side.data.data() + at, out_bytes[index]); \
	}
		OUTPUTS(X)
#undef X
#define X(index, port)                                                     \
	{                                                                        \
		Lite& lite = lites[index];                                             \
		if (lite.started) {                                                    \
			if (top->port##_AWVALID && top->port##_AWREADY) lite.address_sent = moved = true; \
			if (top->port##_ARVALID && top->port##_ARREADY) lite.address_sent = moved = true; \
			if (top->port##_WVALID && top->port##_WREADY) lite.data_sent = moved = true;      \
			const bool written = top->port##_BVALID && top->port##_BREADY;       \
			const bool read = top->port##_RVALID && top->port##_RREADY;          \
			if (read) lite.answers.push_back(top->port##_RDATA);                 \
			if (written || read) {                                               \
				lite.started = lite.address_sent = lite.data_sent = false;         \
				++lite.next;                                                       \
				moved = true;                                                      \
			}                                                                    \
		}                                                                      \
	}
		LITES(X)
#undef X
#if PROBES > 0
		for (size_t i = 0; i < PROBES; ++i) {
			if (!(bit(top->probe_valid, i) && bit(top->probe_ready, i))) continue;
			Watch& watch = watches[i];
			moved = true;
			if (watch.frame_words && watch.beats % watch.frame_words == 0) watch.first.push_back(cycle);
			++watch.beats;
			if (watch.frame_words && watch.beats % watch.frame_words == 0) watch.last.push_back(cycle);
		}
#endif
		top->ap_clk = 1;
		top->eval();
		dump(1);
		++cycle;
		idle = moved ? 0 : idle + 1;
		if (delivered == wanted && ++after > surplus) break;
		if (delivered < wanted && idle > idle_limit) { status = "stuck"; break; }
		if (cycle >= limit) { status = "limit"; break; }
		if (context.gotFinish()) { status = "finished"; break; }
		if ((cycle & 0x3fff) == 0) {
			const auto now = std::chrono::steady_clock::now();
			if (now - told > std::chrono::seconds(1)) {
				told = now;
				std::cout << "progress " << cycle << " " << delivered << " " << wanted << std::endl;
			}
		}
	}
	const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
#ifdef WITH_TRACE
	if (!trace_file.empty()) trace.close();
#endif

	for (Side& side : out) {
		std::ofstream file(side.file, std::ios::binary);
		file.write(reinterpret_cast<const char*>(side.data.data()), static_cast<std::streamsize>(side.data.size()));
		if (!file) fail("cannot write " + side.file);
	}
	if (behind.open()) {
		std::ofstream file(behind.file, std::ios::binary);
		file.write(reinterpret_cast<const char*>(behind.data.data()), static_cast<std::streamsize>(behind.sent));
		if (!file) fail("cannot write " + behind.file);
	}
	std::ofstream json(report);
	json << "{\"status\":\"" << status << "\",\"cycles\":" << cycle << ",\"seconds\":" << seconds
	     << ",\"excess\":" << (excess ? "true" : "false");
	const auto sides = [&](const char* name, const std::vector<Side>& list, const std::vector<bool>& valid,
	                       const std::vector<bool>& ready) {
		json << ",\"" << name << "\":[";
		for (size_t i = 0; i < list.size(); ++i)
			json << (i ? "," : "") << "{\"words\":" << list[i].done << ",\"first\":" << joined(list[i].first)
			     << ",\"last\":" << joined(list[i].last) << ",\"valid\":" << (valid[i] ? "true" : "false")
			     << ",\"ready\":" << (ready[i] ? "true" : "false") << "}";
		json << "]";
	};
	std::vector<bool> in_valid, in_ready, out_valid, out_ready;
#define X(index, port)                    \
	in_valid.push_back(in[index].offered);  \
	in_ready.push_back(top->port##_TREADY);
	INPUTS(X)
#undef X
#define X(index, port)                        \
	out_valid.push_back(top->port##_TVALID);    \
	out_ready.push_back(out[index].offered);
	OUTPUTS(X)
#undef X
	sides("inputs", in, in_valid, in_ready);
	sides("outputs", out, out_valid, out_ready);
	json << ",\"probes\":[";
#if PROBES > 0
	for (size_t i = 0; i < PROBES; ++i)
		json << (i ? "," : "") << "{\"beats\":" << watches[i].beats << ",\"first\":" << joined(watches[i].first)
		     << ",\"last\":" << joined(watches[i].last) << ",\"valid\":" << (bit(top->probe_valid, i) ? "true" : "false")
		     << ",\"ready\":" << (bit(top->probe_ready, i) ? "true" : "false") << "}";
#endif
	json << "],\"answers\":[";
	for (size_t i = 0; i < lites.size(); ++i) json << (i ? "," : "") << joined(lites[i].answers);
	json << "],\"high_water\":[";
#if FIFOS > 0
	for (size_t i = 0; i < FIFOS; ++i) json << (i ? "," : "") << word32(top->fifo_high_water, i);
#endif
	json << "]}\n";
	json.close();
	if (!json) fail("cannot write " + report);
	top->final();
	return 0;
}
