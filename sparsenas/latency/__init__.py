"""How long a network takes on a device: tables, how they are measured, and what they predict."""

from sparsenas.latency.client import Client as Client
