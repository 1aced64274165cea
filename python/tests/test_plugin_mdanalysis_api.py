"""What MDAnalysis asks of all readers and writers, by its own tests: `pip install MDAnalysisTests`, 113 MB."""

import pytest

mda = pytest.importorskip("MDAnalysis")
base = pytest.importorskip("MDAnalysisTests.coordinates.base", reason="MDAnalysisTests is not installed")

from MDAnalysisTests.datafiles import COORDINATES_TOPOLOGY, COORDINATES_TRR  # noqa: E402

from vlstore.plugins.mdanalysis import Reader, Writer  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")


class Reference(base.BaseReference):
    """The trajectory that all formats are tested with."""

    def __init__(self, path):
        super().__init__()
        self.trajectory, self.topology, self.ext = str(path), COORDINATES_TOPOLOGY, "vls"
        self.reader, self.writer = Reader, Writer
        # Does a writer find the number of atoms by itself?
        self.container_format = True
        self.changing_dimensions, self.prec = True, 3  # decimals of the file that it is made of
        for ts in (self.first_frame, self.second_frame, self.last_frame, self.jump_to_frame):
            ts.velocities, ts.forces = ts.positions / 10, ts.positions / 100

    def iter_ts(self, i):
        ts = self.first_frame.copy()
        ts.positions = 2**i * self.first_frame.positions
        ts.velocities, ts.forces = ts.positions / 10, ts.positions / 100
        ts.time = ts.frame = i
        return ts


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    path = tmp_path_factory.mktemp("api") / "reference.vls"
    universe = mda.Universe(COORDINATES_TOPOLOGY, COORDINATES_TRR)
    universe.atoms.write(str(path), frames="all")
    return path


class TestReader(base.MultiframeReaderTest):
    @pytest.fixture
    def ref(self, stored):
        return Reference(stored)


class TestWriter(base.BaseWriterTest):
    @pytest.fixture
    def ref(self, stored):
        return Reference(stored)
