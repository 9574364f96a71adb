"""Decides as a network plugin does whether NetworkPolicies let a connection through."""

import dataclasses
import ipaddress


@dataclasses.dataclass
class Peer:
    """A pod (by namespace and labels) or an address outside."""

    namespace: str = ""
    labels: dict = dataclasses.field(default_factory=dict)
    ports: dict = dataclasses.field(default_factory=dict)
    address: str = ""


def allowed(release, source, target, port, protocol="TCP"):
    """Both sides must agree: the egress of the source and the ingress of the target."""
    return _side(release, "Egress", source, target, target, port, protocol) and _side(release, "Ingress", target, source, target, port, protocol)


def _side(release, direction, own, other, target, port, protocol):
    policies = [one["spec"] for one in release.all("NetworkPolicy") if own.labels and _selects(one["spec"]["podSelector"], own.labels) and direction in one["spec"]["policyTypes"]]
    if not policies:
        return True
    way = "to" if direction == "Egress" else "from"
    rules = [rule for spec in policies for rule in spec.get(direction.lower(), [])]
    return any(_port(rule, target, port, protocol) and (not rule.get(way) or any(_is(peer, other, own.namespace) for peer in rule[way])) for rule in rules)


def _port(rule, target, port, protocol):
    return not rule.get("ports") or any(
        one.get("protocol", "TCP") == protocol and target.ports.get(one["port"], one["port"]) == port for one in rule["ports"]
    )


def _is(peer, other, own_namespace):
    if "ipBlock" in peer:
        return bool(other.address) and _within(other.address, peer["ipBlock"]["cidr"]) and not any(_within(other.address, out) for out in peer["ipBlock"].get("except", []))
    if other.address:
        return False
    if "namespaceSelector" in peer:
        there = _selects(peer["namespaceSelector"], {"kubernetes.io/metadata.name": other.namespace})
    else:
        there = other.namespace == own_namespace
    return there and _selects(peer.get("podSelector", {}), other.labels)


def _within(address, cidr):
    network = ipaddress.ip_network(cidr)
    return ipaddress.ip_address(address).version == network.version and ipaddress.ip_address(address) in network


def _selects(selector, labels):
    exact = selector.get("matchLabels", {}).items() <= labels.items()
    return exact and all(one["operator"] == "In" and labels.get(one["key"]) in one["values"] for one in selector.get("matchExpressions", []))
