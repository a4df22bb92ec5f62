"""How processes that train together are asked for, and refused; test_processes.py and test_cluster.py start them."""

import pytest
import torch

from unroll.errors import UserError
from unroll.nn.device import ComputeSettings, prepare
from unroll.training.launch import Hosts, _own_address, is_for_many

SEVERAL = {"NNODES": "2", "NODE_RANK": "1", "MASTER_ADDR": "10.0.0.1"}


@pytest.mark.parametrize(
    ("stated", "hosts"),
    [
        ({}, Hosts(1, 0, "127.0.0.1", 0)),
        ({"NNODES": "1", "NODE_RANK": "0", "MASTER_ADDR": "10.0.0.1"}, Hosts(1, 0, "127.0.0.1", 0)),
        (SEVERAL, Hosts(2, 1, "10.0.0.1", 29_500)),
        ({**SEVERAL, "NODE_RANK": "0", "MASTER_PORT": "1234"}, Hosts(2, 0, "10.0.0.1", 1234)),
    ],
)
def test_hosts_are_those_of_the_usual_variables(stated, hosts):
    assert Hosts.of(stated) == hosts


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"NNODES": "two"}, "NNODES in the environment should be a number from 1 to 65535; found 'two'"),
        ({"NNODES": "0"}, "NNODES in the environment should be a number from 1"),
        ({"NODE_RANK": "-1"}, "NODE_RANK in the environment should be a number from 0 to 1; found '-1'"),
        ({"NODE_RANK": "2"}, "NODE_RANK in the environment should be a number from 0 to 1; found '2'"),
        ({"NODE_RANK": None}, "NNODES is 2, and NODE_RANK is not set: the number of this host, 0 to 1"),
        ({"MASTER_ADDR": None}, "NNODES is 2, and MASTER_ADDR is not set"),
        ({"MASTER_PORT": "70000"}, "MASTER_PORT in the environment should be a number from 1 to 65535"),
    ],
)
def test_what_is_wrong_with_a_variable_is_told(changes, told):
    stated = {name: value for name, value in {**SEVERAL, **changes}.items() if value is not None}
    with pytest.raises(UserError, match=told):
        Hosts.of(stated)


@pytest.mark.parametrize(
    ("processes", "environment", "many"),
    [(1, {}, False), (2, {}, True), (1, SEVERAL, True), (2, {**SEVERAL, "UNROLL_OUTCOME": "/tmp/1"}, False)],
)
def test_others_are_launched_once(monkeypatch, processes, environment, many):
    for name in (*SEVERAL, "UNROLL_OUTCOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert is_for_many(ComputeSettings(processes=processes)) == many


def test_the_address_of_this_host_is_that_by_which_it_reaches_the_others():
    assert _own_address("127.0.0.1") == "127.0.0.1"
    with pytest.raises(UserError, match="MASTER_ADDR: no way to 'no such host'"):
        _own_address("no such host")


def test_each_process_needs_a_gpu_of_its_own(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert prepare(ComputeSettings(processes=2)) == torch.device("cuda")
    with pytest.raises(UserError, match=r"compute\.processes: 3, and GPUs here: 2; each process needs its own"):
        prepare(ComputeSettings(processes=3))
    assert prepare(ComputeSettings(processes=3, device="cpu")) == torch.device("cpu")
