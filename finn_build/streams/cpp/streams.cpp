// Handshakes of a dataflow graph, cycle by cycle: what moves when, and what stands still. No data, only words.
//
// Every operator is the state machine of its SystemVerilog, reduced to what decides valid and ready. Within a cycle
// nodes are stepped from the output to the input: each finds the ready of its consumers and the valid that its producers
// hold in this cycle, sets its own ready, moves on, and sets the valid of the next cycle. That order suffices because valid
// depends on registers alone in all of them. A node that a step leaves unchanged sleeps until a signal beside it changes.

#include <cstdint>
#include <memory>
#include <vector>

namespace {

using i64 = std::int64_t;

struct Edge {
	bool valid = false;
	bool ready = false;
	int producer = -1;
	int consumer = -1;
};

struct Machine {
	std::vector<Edge> edges;
	std::vector<std::uint64_t> now, next;
	i64 cycle = 0;

	void wake(std::vector<std::uint64_t>& set, int node) { set[node >> 6] |= std::uint64_t(1) << (node & 63); }
	void valid(int edge, bool value) {
		Edge& e = edges[edge];
		if (e.valid != value) { e.valid = value; wake(next, e.consumer); }
	}
	void ready(int edge, bool value) {
		Edge& e = edges[edge];
		if (e.ready != value) { e.ready = value; wake(now, e.producer); }
	}
};

struct Node {
	std::vector<int> in, out;
	i64 most = 0;  // words held, of a FIFO
	virtual ~Node() = default;
	virtual bool step(Machine& m) = 0;  // whether it changed
};

// Offers a word whenever one is due: at once, or `words` of them evenly over `period` cycles.
struct Source : Node {
	i64 words, total, period, sent = 0, first = -1;
	Source(i64 words_, i64 frames, i64 period_) : words(words_), total(words_ * frames), period(period_) {}
	bool step(Machine& m) override {
		const Edge& e = m.edges[out[0]];
		const bool moved = e.valid && e.ready, offered = e.valid;
		if (moved) {
			++sent;
			if (first < 0) first = m.cycle;
		}
		m.valid(out[0], sent < total && sent * period <= m.cycle * words);
		return moved || (sent < total && (!offered || !e.valid));
	}
};

struct Sink : Node {
	i64 words, count = 0, frames;
	std::vector<i64> last;
	Sink(i64 words_, i64 frames_) : words(words_), frames(frames_) {}
	bool step(Machine& m) override {
		m.ready(in[0], true);
		if (!m.edges[in[0]].valid) return false;
		if (++count % words == 0) last.push_back(m.cycle);
		return true;
	}
	bool done() const { return i64(last.size()) >= frames; }
};

// fifo.sv, shift and distributed: `room` words in the memory and one in the output register.
struct Fifo : Node {
	i64 room, held = 0;
	bool vld = false;
	explicit Fifo(i64 room_) : room(room_) {}
	bool step(Machine& m) override {
		const bool ready = held < room, load = !vld || m.edges[out[0]].ready;
		const bool push = ready && m.edges[in[0]].valid, pop = held > 0 && load;
		m.ready(in[0], ready);
		const bool vld_next = load ? held > 0 : vld;
		const bool changed = push != pop || vld_next != vld;
		held += i64(push) - i64(pop);
		vld = vld_next;
		if (held + vld > most) most = held + vld;
		m.valid(out[0], vld);
		return changed;
	}
};

// fifo.sv, block: a read pipeline of two stages behind the memory.
struct BlockFifo : Node {
	i64 room, held = 0;
	bool first = false, second = false;
	explicit BlockFifo(i64 room_) : room(room_) {}
	bool step(Machine& m) override {
		const bool ready = held < room, move = !first || m.edges[out[0]].ready;
		const bool push = ready && m.edges[in[0]].valid, pop = held > 0 && move;
		m.ready(in[0], ready);
		bool changed = push != pop;
		held += i64(push) - i64(pop);
		if (move) {
			changed |= first != second || second != pop;
			first = second;
			second = pop;
		}
		if (held + first + second > most) most = held + first + second;
		m.valid(out[0], first);
		return changed;
	}
};

struct Skid {
	bool vld = false, spare = false;
	bool step(bool input, bool ready) {
		const bool was_vld = vld, was_spare = spare;
		if (!vld || ready) { vld = spare || input; spare = false; }
		else if (input) spare = true;
		return was_vld != vld || was_spare != spare;
	}
};

struct Fork : Node {
	std::vector<Skid> skids;
	bool step(Machine& m) override {
		if (skids.empty()) skids.resize(out.size());
		bool room = true, changed = false;
		for (const Skid& s : skids) room = room && !s.spare;
		const bool take = room && m.edges[in[0]].valid;
		m.ready(in[0], room);
		for (std::size_t i = 0; i < out.size(); ++i) {
			changed |= skids[i].step(take, m.edges[out[i]].ready);
			m.valid(out[i], skids[i].vld);
		}
		return changed;
	}
};

struct Add : Node {
	Skid left, right;
	bool vld = false;
	bool step(Machine& m) override {
		const bool ready = m.edges[out[0]].ready, take = left.vld && right.vld && (!vld || ready);
		const bool l = !left.spare, r = !right.spare, was = vld;
		m.ready(in[0], l);
		m.ready(in[1], r);
		if (!vld || ready) vld = take;
		bool changed = left.step(l && m.edges[in[0]].valid, take);
		changed |= right.step(r && m.edges[in[1]].valid, take);
		m.valid(out[0], vld);
		return changed || vld != was;
	}
};

// vpc.sv, generic: the words of both sides in units of their greatest common divisor.
struct Converter : Node {
	i64 wide_in, wide_out, room;
	Converter(i64 in_, i64 out_) : wide_in(in_), wide_out(out_), room(out_) {}
	bool step(Machine& m) override {
		const bool take = room >= 0 && m.edges[in[0]].valid, give = room <= 0 && m.edges[out[0]].ready;
		m.ready(in[0], room >= 0);
		room += (give ? wide_out : 0) - (take ? wide_in : 0);
		m.valid(out[0], room <= 0);
		return take || give;
	}
};

struct Padding : Node {
	i64 fold, x_on, x_off, x_end, y_on, y_off, y_end, s = 0, x = 0, y = 0;
	bool spare = false, vld = false;
	explicit Padding(const i64* p)
		: fold(p[0]), x_on(p[1]), x_off(p[2]), x_end(p[3]), y_on(p[4]), y_off(p[5]), y_end(p[6]) {}
	bool step(Machine& m) override {
		const bool forward = x_on <= x && x < x_off && y_on <= y && y < y_off;
		const bool input = m.edges[in[0]].valid, ready = m.edges[out[0]].ready;
		const bool go = (ready || !vld) && (input || spare || !forward);
		m.ready(in[0], !spare);
		const bool vld_next = (ready || !vld) ? (input || spare || !forward) : vld;
		const bool spare_next = (spare || input) && ((vld && !ready) || !forward);
		const bool changed = go || vld_next != vld || spare_next != spare;
		vld = vld_next;
		spare = spare_next;
		if (go && ++s == fold) {
			s = 0;
			if (x++ == x_end) {
				x = 0;
				y = y == y_end ? 0 : y + 1;
			}
		}
		m.valid(out[0], vld);
		return changed;
	}
};

// Element of the frame that each output of a sliding window needs, and the first element that must stay in the buffer.
struct Window {
	i64 fold, kh, kw, oh, ow, sh, sw, dh, dw, width;
	i64 c = 0, a = 0, b = 0, x = 0, y = 0;
	explicit Window(const i64* p)
		: fold(p[0]), kh(p[1]), kw(p[2]), oh(p[3]), ow(p[4]), sh(p[5]), sw(p[6]), dh(p[7]), dw(p[8]), width(p[9]) {}
	i64 corner(i64 row, i64 column) const { return (row * sh * width + column * sw) * fold; }
	i64 element() const { return corner(y, x) + (a * dh * width + b * dw) * fold + c; }
	bool at_start() const { return a == 0 && b == 0 && c == 0; }
	void advance() {
		if (++c < fold) return;
		c = 0;
		if (++b < kw) return;
		b = 0;
		if (++a < kh) return;
		a = 0;
		if (++x < ow) return;
		x = 0;
		if (++y == oh) y = 0;
	}
};

// swg_template_default.sv
struct Swg : Node {
	Window window;
	i64 buffer, last_read, last_write, tail_last;
	i64 newest = -1, current = 0, keep = 0;
	bool write = false, written = false, fetched = false;
	explicit Swg(const i64* p) : window(p), buffer(p[10]), last_read(p[11]), last_write(p[12]), tail_last(p[13]) {}
	bool step(Machine& m) override {
		const bool ready = m.edges[out[0]].ready, input = m.edges[in[0]].valid;
		const bool write_ok = write && ready, blocked = write && !ready;
		const bool fetch = current <= newest && !blocked && !fetched;
		const bool all_read = newest == last_read, reading_last = newest == last_read - 1;
		const i64 oldest = newest - (buffer - 1);
		const bool read_ok = !all_read && (fetched || (oldest < keep && oldest < current)) && input;
		m.ready(in[0], read_ok);
		bool restart = false;
		const bool was_fetched = fetched, was_written = written;
		if (read_ok && reading_last && was_written) {
			restart = true;
			written = false;
			fetched = false;
		}
		if (fetch) {
			if (window.at_start()) {
				const bool row_end = window.x == window.ow - 1, frame_end = row_end && window.y == window.oh - 1;
				keep = frame_end ? keep + tail_last
					: row_end ? window.corner(window.y + 1, 0) : window.corner(window.y, window.x + 1);
			}
			window.advance();
			if (current == last_write) fetched = true;
			else current = window.element();
			write = true;
		}
		if (write_ok) {
			write = fetch;
			if (was_fetched) {
				if (all_read || (read_ok && reading_last)) { restart = true; fetched = false; }
				else written = true;
			}
		}
		if (restart) { newest = -1; current = 0; keep = 0; }
		else if (read_ok) ++newest;
		m.valid(out[0], write);
		return read_ok || fetch || write_ok;
	}
};

// swg_template_parallel.sv: a whole window a word, or the 1×1 kernel.
struct ParallelSwg : Node {
	Window window;
	i64 first, last_read, last_write;
	i64 newest = -1, current;
	bool all_written = false, written = false;
	explicit ParallelSwg(const i64* p)
		: window(p), first(p[10]), last_read(p[11]), last_write(p[12]), current(p[10]) {}
	bool step(Machine& m) override {
		const bool ready = m.edges[out[0]].ready, input = m.edges[in[0]].valid;
		const bool write = current <= newest && !all_written;
		const bool write_ok = write && (ready || written), blocked = write && !ready && !written;
		const bool all_read = newest == last_read, reading_last = newest == last_read - 1;
		const bool read = !all_read && (all_written || newest <= current);
		const bool read_ok = read && input && !blocked;
		const bool advance = read_ok || (!read && write_ok) || (!read && !write);
		m.ready(in[0], read_ok);
		const bool was_all_written = all_written, was_written = written;
		if (advance) written = false;
		else if (write_ok) written = true;
		bool restart = false;
		if (read_ok && reading_last && was_all_written) restart = true;
		if (write_ok) {
			if (current == last_write) {
				all_written = true;
				restart = restart || all_read || (read_ok && reading_last);
			} else {
				window.advance();
				current = window.element() + first;
			}
		}
		if (restart) {
			newest = -1;
			current = first;
			all_written = false;
			window.x = window.y = window.c = 0;
		} else if (read_ok) ++newest;
		m.valid(out[0], current <= newest && !all_written && !written);
		return read_ok || write_ok || was_written != written;
	}
};

// replay_buffer.sv
struct Replay {
	i64 length, times, depth = 1, at = 0, round = 0, wp = 0, rp = 0, fp = 0;
	bool vld = false, last = false;
	Replay(i64 length_, i64 times_) : length(length_), times(times_) {
		i64 bits = 0;
		while ((i64(1) << bits) < length) ++bits;
		depth = i64(1) << (length < 2 ? 1 : bits);
	}
	bool passes() const { return times == 1; }
	bool offers(bool input) const { return passes() ? input : vld; }
	bool offers_last() const { return passes() ? at == length - 1 : last; }
	bool room() const { return wp - fp != depth; }
	void count() {
		if (++at < length) return;
		at = 0;
		if (++round == times) round = 0;
	}
	// `take` is what the consumer does in this cycle; returns whether anything changed.
	bool step(bool input, bool take) {
		if (passes()) {
			if (take) count();
			return take;
		}
		const bool write = room() && input, read = !vld || take, there = rp != wp;
		if (write) ++wp;
		bool changed = write;
		if (read) {
			changed |= there || vld;
			vld = there;
			if (there) {
				const bool last_item = at == length - 1, last_round = round == times - 1;
				last = last_item;
				rp += last_item && !last_round ? 1 - length : 1;
				fp += last_round;
				count();
			}
		}
		return changed;
	}
};

// mvu_vvu_axi.sv, its weights always there: the core's pipeline, and a queue that locks the input when it backs up.
struct Mvu : Node {
	Replay replay;
	int depth;
	std::uint64_t pipe = 0;
	i64 queue = 0;
	bool vld = false, lock = false;
	explicit Mvu(const i64* p) : replay(p[0], p[1]), depth(int(p[2])) {}
	bool step(Machine& m) override {
		const bool input = m.edges[in[0]].valid, ready = m.edges[out[0]].ready;
		const bool take = replay.offers(input) && !lock, finished = take && replay.offers_last();
		m.ready(in[0], replay.passes() ? !lock : replay.room());
		bool changed = replay.step(input, take);
		const bool push = pipe >> (depth - 1) & 1;
		changed |= pipe != 0 || finished;
		pipe = (pipe << 1 | std::uint64_t(finished)) & ((std::uint64_t(1) << depth) - 1);
		const bool move = ready || !vld, pop = move && queue > 0;
		const bool lock_next = queue == 0 ? false : vld && !ready ? true : lock, vld_next = move ? queue > 0 : vld;
		changed |= push != pop || lock_next != lock || vld_next != vld;
		queue += i64(push) - i64(pop);
		lock = lock_next;
		vld = vld_next;
		m.valid(out[0], vld);
		return changed;
	}
};

// mvu_own.sv: a place in the queue is reserved when a sum's last word is taken.
struct OwnMvu : Node {
	Replay replay;
	int latency;
	i64 places, stored = 0;
	std::uint64_t pipe = 0;
	bool vld = false;
	explicit OwnMvu(const i64* p) : replay(p[0], p[1]), latency(int(p[2])), places(p[3]) {}
	bool step(Machine& m) override {
		const bool input = m.edges[in[0]].valid, ready = m.edges[out[0]].ready;
		const bool last = replay.offers_last(), take = replay.offers(input) && (places > 0 || !last);
		m.ready(in[0], replay.passes() ? take : replay.room());
		bool changed = replay.step(input, take);
		const bool push = pipe >> (latency - 1) & 1, pop = vld && ready, load = stored > 0 && (!vld || ready);
		changed |= pipe != 0 || (take && last) || pop || load;
		pipe = (pipe << 1 | std::uint64_t(take && last)) & ((std::uint64_t(1) << latency) - 1);
		places += i64(pop) - i64(take && last);
		stored += i64(push) - i64(load);
		if (load) vld = true;
		else if (ready) vld = false;
		m.valid(out[0], vld);
		return changed;
	}
};

// thresholding.sv: a free-running pipeline, and as many words in it as its output queue can take.
struct Threshold : Node {
	int stages;
	i64 limit, pending = 0, queue = 0;
	std::uint64_t pipe = 0;
	bool vld = false;
	explicit Threshold(const i64* p) : stages(int(p[0])), limit(p[0] + 3) {}
	bool step(Machine& m) override {
		const bool ready = pending < limit, take = ready && m.edges[in[0]].valid;
		const bool give = vld && m.edges[out[0]].ready, load = !vld || m.edges[out[0]].ready;
		m.ready(in[0], ready);
		const bool push = stages ? pipe >> (stages - 1) & 1 : take, pop = queue > 0 && load;
		const std::uint64_t pipe_next = stages ? (pipe << 1 | std::uint64_t(take)) & ((std::uint64_t(1) << stages) - 1) : 0;
		const bool vld_next = load ? queue > 0 : vld;
		const bool changed = pipe_next != pipe || take != give || push != pop || vld_next != vld;
		pipe = pipe_next;
		pending += i64(take) - i64(give);
		queue += i64(push) - i64(pop);
		vld = vld_next;
		m.valid(out[0], vld);
		return changed;
	}
};

// cam.sv with cam_maps.sv and cam_pack.sv: frames are taken into two banks; a fixed script says when bytes leave.
struct Cam : Node {
	i64 words, fold, bytes, delay;
	const i64* script;  // pairs: cycles without a byte, then bytes
	i64 steps, word = 0, group = 0, position = 0, waited = 0, sent = 0, gathered = 0;
	int bank = 0, shown = 0;
	bool busy[2] = {false, false}, full[2] = {false, false}, active = false, vld = false, packed = false;
	unsigned ending = 0, ending_bank = 0;
	int release = -1;
	Cam(const i64* p, const i64* table)
		: words(p[0]), fold(p[1]), bytes(p[2]), delay(p[3]), script(table + p[4]), steps(p[5]) {}
	bool step(Machine& m) override {
		const bool last_group = group == fold - 1, held = word == 0 && group == 0 && busy[bank];
		const bool fire = m.edges[in[0]].valid && !held, first = word == 0 && group == 0;
		m.ready(in[0], last_group && !held);
		const bool pack_ready = bytes == 1 ? m.edges[out[0]].ready : !packed || m.edges[out[0]].ready;
		const bool free = !vld || pack_ready;
		bool changed = fire || ending || release >= 0 || active || vld || packed;

		// The packet's bytes leave through one register, and from there into words.
		const bool byte_out = vld && pack_ready;
		if (bytes > 1) {
			if (packed && m.edges[out[0]].ready) packed = false;
			if (byte_out && ++gathered == bytes) { gathered = 0; packed = true; }
		}
		if (free) vld = false;
		int releasing = -1;
		if (active) {
			if (waited < script[2 * position]) ++waited;
			else if (sent < script[2 * position + 1] && free) { vld = true; ++sent; }
			if (waited >= script[2 * position] && sent >= script[2 * position + 1]) {
				waited = sent = 0;
				if (++position == steps) {
					position = 0;
					active = false;
					releasing = shown;
					shown ^= 1;
				}
			}
		} else if (full[shown]) active = true;

		// Banks.
		if (release >= 0) busy[release] = full[release] = false;
		release = releasing;
		if (ending >> (delay - 1) & 1) full[ending_bank >> (delay - 1) & 1] = true;
		bool finished = false;
		const unsigned of_bank = unsigned(bank);
		if (fire) {
			if (first) busy[bank] = true;
			if (last_group) {
				group = 0;
				if (++word == words) { word = 0; bank ^= 1; finished = true; }
			} else ++group;
		}
		ending = (ending << 1 | unsigned(finished)) & ((1u << delay) - 1);
		ending_bank = (ending_bank << 1 | of_bank) & ((1u << delay) - 1);
		m.valid(out[0], bytes == 1 ? vld : packed);
		return changed || active;
	}
};

// An operator that is HLS, from its estimate: `take` words in, each after `pace` cycles, then `give` words out.
struct Estimate : Node {
	i64 take, give, pace, latency, limit;
	i64 taken = 0, wait = 0, owed = 0;
	std::vector<i64> due;
	std::size_t at = 0;
	explicit Estimate(const i64* p) : take(p[0]), give(p[1]), pace(p[2]), latency(p[3]), limit(p[4]) {}
	bool step(Machine& m) override {
		const bool vld = at < due.size() && due[at] <= m.cycle && m.edges[out[0]].valid;
		if (vld && m.edges[out[0]].ready) ++at;
		const bool room = wait == 0 && i64(due.size() - at) <= limit;
		m.ready(in[0], room);
		if (wait > 0) --wait;
		if (room && m.edges[in[0]].valid) {
			wait = pace - 1;
			++taken;
			for (; owed < give * taken / take; ++owed) {
				const i64 earliest = due.empty() ? 0 : due.back() + 1;
				due.push_back(max(earliest, m.cycle + latency));
			}
			if (taken == take) taken = owed = 0;
		}
		if (at > 4096) { due.erase(due.begin(), due.begin() + i64(at)); at = 0; }
		m.valid(out[0], at < due.size() && due[at] <= m.cycle + 1);
		return at < due.size() || wait > 0 || m.edges[in[0]].valid;
	}
	static i64 max(i64 a, i64 b) { return a > b ? a : b; }
};

enum Kind { FIFO, BLOCK_FIFO, FORK, ADD, CONVERTER, PADDING, SWG, PARALLEL_SWG, MVU, OWN_MVU, THRESHOLD, CAM, ESTIMATE };

std::unique_ptr<Node> made(int kind, const i64* p, const i64* table) {
	switch (kind) {
		case FIFO: return std::make_unique<Fifo>(p[0]);
		case BLOCK_FIFO: return std::make_unique<BlockFifo>(p[0]);
		case FORK: return std::make_unique<Fork>();
		case ADD: return std::make_unique<Add>();
		case CONVERTER: return std::make_unique<Converter>(p[0], p[1]);
		case PADDING: return std::make_unique<Padding>(p);
		case SWG: return std::make_unique<Swg>(p);
		case PARALLEL_SWG: return std::make_unique<ParallelSwg>(p);
		case MVU: return std::make_unique<Mvu>(p);
		case OWN_MVU: return std::make_unique<OwnMvu>(p);
		case THRESHOLD: return std::make_unique<Threshold>(p);
		case CAM: return std::make_unique<Cam>(p, table);
		default: return std::make_unique<Estimate>(p);
	}
}

}  // namespace

constexpr int PARAMETERS = 14;

// Runs `frames` frames through `nodes` nodes that are given from the input to the output.
//
// ends: producer and consumer of each edge, -1 for the outside; ports are filled in the order of the edges.
// Writes the last output cycle of each frame, each node's most words held, valid and ready of each edge at the end.
// The input offers a frame's words evenly over `period` cycles; 0 offers one a cycle.
// totals: frames finished, cycles run, cycle of the first input word. Stops early at `limit` cycles, or when all stand still.
extern "C" void run_streams(int nodes, const int* kinds, const std::int64_t* parameters, const std::int64_t* table, int edges,
                            const int* ends, std::int64_t words_in, std::int64_t words_out, int frames, std::int64_t period,
                            std::int64_t limit,
                            std::int64_t* last, std::int64_t* most, unsigned char* signals, std::int64_t* totals) {
	Machine m;
	m.edges.resize(std::size_t(edges));
	const int count = nodes + 2;
	m.now.assign(std::size_t(count + 63) / 64, 0);
	m.next = m.now;
	std::vector<std::unique_ptr<Node>> list(static_cast<std::size_t>(count));
	// Position 0 is the output, the last one the input: the order in which they are stepped.
	const auto position = [nodes](int node) { return nodes - node; };
	auto sink = std::make_unique<Sink>(words_out, frames);
	auto source = std::make_unique<Source>(words_in, frames, period);
	const Sink& drain = *sink;
	const Source& spring = *source;
	for (int i = 0; i < nodes; ++i) list[position(i)] = made(kinds[i], parameters + i * PARAMETERS, table);
	list[0] = std::move(sink);
	list[std::size_t(count) - 1] = std::move(source);
	for (int i = 0; i < edges; ++i) {
		Edge& e = m.edges[i];
		e.producer = ends[2 * i] < 0 ? count - 1 : position(ends[2 * i]);
		e.consumer = ends[2 * i + 1] < 0 ? 0 : position(ends[2 * i + 1]);
		list[e.producer]->out.push_back(i);
		list[e.consumer]->in.push_back(i);
	}
	for (int i = 0; i < count; ++i) m.wake(m.now, i);
	for (; !drain.done() && m.cycle < limit; ++m.cycle) {
		bool any = false;
		for (std::size_t w = 0; w < m.now.size(); ++w) {
			while (m.now[w]) {
				const int bit = __builtin_ctzll(m.now[w]);
				m.now[w] &= m.now[w] - 1;
				const int node = int(w) * 64 + bit;
				if (list[node]->step(m)) m.wake(m.next, node);
			}
		}
		for (std::size_t w = 0; w < m.now.size(); ++w) any |= m.next[w] != 0;
		m.now.swap(m.next);
		if (!any) break;
	}
	for (std::size_t i = 0; i < drain.last.size(); ++i) last[i] = drain.last[i];
	for (int i = 0; i < nodes; ++i) most[i] = list[position(i)]->most;
	for (int i = 0; i < edges; ++i) {
		signals[2 * i] = m.edges[i].valid;
		signals[2 * i + 1] = m.edges[i].ready;
	}
	totals[0] = i64(drain.last.size());
	totals[1] = m.cycle;
	totals[2] = spring.first;
}
