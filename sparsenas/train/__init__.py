"""Training: the supernet, its architecture, and single networks with pruning."""

from sparsenas.train.architecture import ArchitectureSettings as ArchitectureSettings
from sparsenas.train.architecture import Searched as Searched
from sparsenas.train.architecture import train_architecture as train_architecture
from sparsenas.train.candidate import CandidateSettings as CandidateSettings
from sparsenas.train.candidate import candidate_accuracy as candidate_accuracy
from sparsenas.train.candidate import train_candidate as train_candidate
from sparsenas.train.contest import contest as contest
from sparsenas.train.evaluate import Evaluator as Evaluator
from sparsenas.train.evaluate import Scores as Scores
from sparsenas.train.evaluate import calibrated as calibrated
from sparsenas.train.evaluate import calibration_images as calibration_images
from sparsenas.train.evaluate import supernet_evaluator as supernet_evaluator
from sparsenas.train.evaluate import supernet_scorer as supernet_scorer
from sparsenas.train.keeping import Keeper as Keeper
from sparsenas.train.network import Teacher as Teacher
from sparsenas.train.network import accuracy as accuracy
from sparsenas.train.network import logits as logits
from sparsenas.train.network import sparsity_targets as sparsity_targets
from sparsenas.train.network import train_network as train_network
from sparsenas.train.pruning import NetworkSettings as NetworkSettings
from sparsenas.train.supernet import SupernetSettings as SupernetSettings
from sparsenas.train.supernet import supernet_keeper as supernet_keeper
from sparsenas.train.supernet import train_supernet as train_supernet
