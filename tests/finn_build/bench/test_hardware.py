from finn_build.bench.hardware import cpu_mhz, simulated
from finn_build.report.simulated import Simulation


def test_cycles_become_images_a_second_at_any_clock():
    found = simulated(
        Simulation(clock_mhz=200.0, latency_cycles=300_000, interval_cycles=100_000, fps=2000.0, cam_backend="rtl")
    )
    assert (found.images_per_s, found.latency_ms, found.images_per_s_at_100_mhz) == (2000.0, 1.5, 1000.0)
    assert simulated(Simulation(not_run="it does not fit")) is None
    assert simulated(None) is None


def test_the_cores_clock_is_their_median(tmp_path):
    told = tmp_path / "cpuinfo"
    told.write_text("model name\t: x\ncpu MHz\t\t: 2000.5\ncpu MHz\t\t: 2100.5\ncpu MHz\t\t: 2900.0\n")
    assert cpu_mhz(told) == 2100.5
    told.write_text("model name\t: x\n")
    assert cpu_mhz(told) is None
    assert cpu_mhz(tmp_path / "absent") is None
