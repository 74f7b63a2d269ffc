// Package xdp takes UDP datagrams off a network interface before the kernel's
// own stack sees them, and puts replies back (Linux, AF_XDP). It knows frames,
// not DNS: the listener asks a [Queue] for queries and gives it replies.
//
// # The way of a frame
//
// A small program in the kernel looks at each frame that the interface receives.
// UDP to our port, at one of the interface's own addresses and to its own MAC,
// unfragmented, without IP options, extension headers or VLAN tag, goes to the
// socket of the receive queue that it came on; everything else goes up to the
// kernel as if the program were not there. So does everything when a queue has no
// socket, and after [Interface.Stop] or the end of the process, however it
// ends: the kernel takes the program off with the last descriptor of its link.
//
// Each queue has a socket with memory of its own (the UMEM), cut into frames.
// [Queue] says who owns a frame and for how long.
//
// # What the kernel would have done
//
// Such datagrams meet no packet filter, no routing table, no reverse-path check and no
// connection tracking. What can be judged here is judged: checksums (of IP and
// UDP), lengths, addresses that nobody can be answered at. A reply goes back the
// way the query came: out of the same interface, to the MAC that the frame was from.
package xdp
