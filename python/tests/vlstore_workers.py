"""What other processes do in the tests: a module that they can import by its name."""

import vlstore


def read(store, ordinals, answers):
    """What a worker does: single records, a batch, a view; then says what it saw."""
    total = sum(float(store.at[int(i)].positions.sum()) for i in ordinals[:5])
    arrays = store.at.arrays(ordinals)
    answers.put((total, float(arrays["positions"].sum()), len(store), store.generation))


def follow(path, answers):
    store = vlstore.open(path)
    seen, generation = 0, 0
    while seen < 200:
        store.refresh()
        assert store.generation >= generation and len(store) >= seen
        seen, generation = len(store), store.generation
        for i in range(max(0, seen - 3), seen):
            assert store[i] == b"%d" % i * 100
    answers.put(seen)


def centred(sample):
    sample["positions"] = sample["positions"] - sample["positions"].mean(0)
    sample["count"] = len(sample["types"])
    return sample


def read_fifty(store, answers):
    answers.put([store[i] for i in range(50)])


def load_part(loader, answers):
    answers.put([batch.ordinals.tolist() for batch in loader])
