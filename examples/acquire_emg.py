"""Acquires a few trials from a simulated device with 64 channels at 1 kHz, and plots one.

    python examples/acquire_emg.py [FOLDER] [PICTURE]

The device sends 50 samples of each channel every 50 ms. Each piece is in the file, and committed within a second,
while the next one comes: kill the program and start it again to see what is left. The picture needs Matplotlib.
"""

import sys
import time

import numpy as np

from vlstore.experiments import Design, Experiment, StorageWriter

RATE, CHANNELS, SAMPLES = 1000, 64, 50


def device(seconds, side, seed):
    """Yields arrays of (channels, samples) in mV, in real time."""
    random = np.random.default_rng(seed)
    # A muscle on one side: the channels around one place are active in the middle of the trial.
    centre = 16 if side == "left" else 48
    gain = 0.05 + np.exp(-(((np.arange(CHANNELS) - centre) / 8) ** 2))[:, None]
    begun = time.monotonic()
    for start in range(0, int(seconds * RATE), SAMPLES):
        t = (start + np.arange(SAMPLES)) / RATE
        burst = 0.1 + np.exp(-(((t - seconds / 2) / 0.2) ** 2))
        time.sleep(max(0.0, begun + (start + SAMPLES) / RATE - time.monotonic()))
        yield gain * burst * random.normal(size=(CHANNELS, SAMPLES))


def plot(reader, trial, picture):
    """Draws all channels of a trial over time."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    emg, row = reader.get(trial, "emg"), reader.trials[trial]
    figure, (above, below) = plt.subplots(
        2, 1, figsize=(7, 5), sharex=True, height_ratios=(3, 1), layout="constrained"
    )
    seconds = emg.shape[1] / RATE
    # The mean of the rectified signal over 20 ms shows the burst.
    level = abs(emg).reshape(CHANNELS, -1, 20).mean(axis=2)
    image = above.imshow(level, aspect="auto", extent=(0, seconds, CHANNELS, 0), cmap="viridis")
    figure.colorbar(image, ax=above, label="mean over 20 ms / mV")
    above.set_ylabel("channel")
    above.set_title(f"block {row['block']}, trial {row['trial']}: {row['side']}")
    loudest = int(np.argmax(abs(emg).mean(axis=1)))
    below.plot(np.arange(emg.shape[1]) / RATE, emg[loudest], linewidth=0.5)
    below.set_ylabel(f"channel {loudest} / mV")
    below.set_xlabel("time / s")
    figure.savefig(picture, dpi=110)


def main(folder="data", picture="trial.png"):
    design = Design()
    block = design.add_block()
    for side in ("left", "right"):
        block.add_trial({"side": side})
    block.shuffle(seed=1)
    with StorageWriter(folder, "p01") as run:
        task = run.task("reach")
        for left in run.require_task("reach").unfinished:
            print(f"left of an earlier run: {left.attrs}, {left.array('emg').shape if left.array_names else 'no piece'}")
        for trial in block:
            task.begin(trial)
            emg = trial.add_array("emg")
            for piece in device(2, trial.attrs["side"], seed=trial.attrs["trial"]):
                emg.stack(piece)
            number = task.write(trial)
            print(f"trial {number}: {trial.attrs}")
    reader = Experiment(folder).task("p01", "reach")
    try:
        plot(reader, len(reader) - 1, picture)
        print(f"plotted the last of {len(reader)} trials: {picture}")
    except ImportError:
        print("no picture: Matplotlib is not installed (pip install matplotlib)")


if __name__ == "__main__":
    main(*sys.argv[1:])
