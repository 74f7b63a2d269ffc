package xdp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"github.com/cilium/ebpf/rlimit"
	"golang.org/x/sys/unix"
)

const (
	// maxAddresses bounds the addresses of an interface that are served; questions
	// to others go up to the kernel.
	maxAddresses = 1024
	// maxQueues bounds the receive queues that get a socket; what comes on others
	// goes up to the kernel.
	maxQueues = 64
)

// place is the value that stands for an address in the program's table: the MAC
// that frames to it have. In network order, padded to eight octets.
type place [8]byte

// key is an address in the program's table, as three numbers of the machine's: an IPv6
// one in two halves, or an IPv4 one and nought, and then which of them it is, for
// somebody can write either into a frame of the other. Whole numbers, because without
// CAP_PERFMON the kernel's verifier lets no slot of the stack be written in parts.
type key [24]byte

func keyOf(a netip.Addr) (k key) {
	if a.Is4() {
		b := a.As4()
		binary.NativeEndian.PutUint64(k[0:], uint64(binary.NativeEndian.Uint32(b[:])))
		binary.NativeEndian.PutUint64(k[16:], 4)
		return k
	}
	*(*[16]byte)(k[:]) = a.As16()
	binary.NativeEndian.PutUint64(k[16:], 6)
	return k
}

// keyAt is where the program has the key on its stack.
const keyAt = -24

// program is what runs in the kernel, with its two tables.
type program struct {
	addresses *ebpf.Map // key -> place; written by [Interface].watch alone
	sockets   *ebpf.Map // queue -> AF_XDP socket
	prog      *ebpf.Program
	link      link.Link // nil once it is detached
	native    bool
}

// loadProgram loads the program for a port. It sees nothing before attach.
func loadProgram(port uint16) (p *program, err error) {
	// Kernels before 5.11 count tables as locked memory. Without the privilege for
	// it the limit stays as it is, and what needs more says so itself.
	_ = rlimit.RemoveMemlock()
	p = &program{}
	defer func() {
		if err != nil {
			p.close()
		}
	}()
	p.addresses, err = ebpf.NewMap(&ebpf.MapSpec{
		Name: "lg_addresses", Type: ebpf.Hash, KeySize: uint32(len(key{})), ValueSize: uint32(len(place{})), MaxEntries: maxAddresses,
	})
	if err != nil {
		return p, fmt.Errorf("making a BPF table: %w", err)
	}
	p.sockets, err = ebpf.NewMap(&ebpf.MapSpec{Name: "lg_sockets", Type: ebpf.XSKMap, KeySize: 4, ValueSize: 4, MaxEntries: maxQueues})
	if err != nil {
		return p, fmt.Errorf("making a table of AF_XDP sockets: %w", err)
	}
	p.prog, err = ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "lastgood", Type: ebpf.XDP, License: "Apache-2.0", Instructions: instructions(p.addresses.FD(), p.sockets.FD(), port),
	})
	if err != nil {
		return p, fmt.Errorf("loading the BPF program: %w", err)
	}
	return p, nil
}

// network gives a 16-bit field of a frame as the program loads it.
func network(v uint16) int32 {
	b := [2]byte{byte(v >> 8), byte(v)}
	return int32(binary.NativeEndian.Uint16(b[:]))
}

// Labels of the program.
const (
	labelPass   = "pass"
	labelV6     = "v6"
	labelLookup = "lookup"
)

// instructions is the program: what it lets through is what parse takes. R6 is the
// context, R7 the frame's beginning, R8 its end.
func instructions(addresses, sockets int, port uint16) asm.Instructions {
	load := func(dst asm.Register, at int16, size asm.Size) asm.Instruction {
		return asm.LoadMem(dst, asm.R7, at, size)
	}
	unless := func(v int32) asm.Instruction { return asm.JNE.Imm(asm.R0, v, labelPass) }
	begin := asm.Instructions{
		asm.Mov.Reg(asm.R6, asm.R1),
		asm.LoadMem(asm.R7, asm.R6, 0, asm.Word),
		asm.LoadMem(asm.R8, asm.R6, 4, asm.Word),
		asm.Mov.Reg(asm.R1, asm.R7), // longer than a frame of ours
		asm.Add.Imm(asm.R1, maxFrame+1),
		asm.JLE.Reg(asm.R1, asm.R8, labelPass),
		asm.Mov.Reg(asm.R1, asm.R7), // shorter than an IPv4 datagram
		asm.Add.Imm(asm.R1, udpV4+udpLen),
		asm.JGT.Reg(asm.R1, asm.R8, labelPass),
		load(asm.R0, typeAt, asm.Half),
		asm.JEq.Imm(asm.R0, network(typeIPv6), labelV6),
		unless(network(typeIPv4)),
	}
	v4 := asm.Instructions{
		load(asm.R0, ipAt, asm.Byte), // version, and a header without options
		unless(0x45),
		load(asm.R0, protoV4, asm.Byte),
		unless(protocolUDP),
		load(asm.R0, ipAt+6, asm.Half), // a fragment: MF, or an offset; or the reserved bit
		asm.And.Imm(asm.R0, network(0xffff&^noFragment)),
		unless(0),
		load(asm.R0, udpV4+2, asm.Half),
		unless(network(port)),
		load(asm.R2, fromV4+4, asm.Word),
		asm.Mov.Imm(asm.R3, 0),
		asm.Mov.Imm(asm.R4, 4),
		asm.Ja.Label(labelLookup),
	}
	v6 := asm.Instructions{
		asm.Mov.Reg(asm.R1, asm.R7).WithSymbol(labelV6),
		asm.Add.Imm(asm.R1, udpV6+udpLen),
		asm.JGT.Reg(asm.R1, asm.R8, labelPass),
		load(asm.R0, ipAt, asm.Byte),
		asm.And.Imm(asm.R0, 0xf0),
		unless(0x60),
		load(asm.R0, protoV6, asm.Byte), // the next header
		unless(protocolUDP),
		load(asm.R0, udpV6+2, asm.Half),
		unless(network(port)),
		load(asm.R2, fromV6+16, asm.DWord),
		load(asm.R3, fromV6+24, asm.DWord),
		asm.Mov.Imm(asm.R4, 6),
	}
	return append(append(append(begin, v4...), v6...), decide(addresses, sockets)...)
}

// decide looks for the address, whose key R2 to R4 hold, compares the MAC, and passes the frame
// to its queue's socket, or up where that has none.
func decide(addresses, sockets int) asm.Instructions {
	return asm.Instructions{
		asm.StoreMem(asm.RFP, keyAt, asm.R2, asm.DWord).WithSymbol(labelLookup),
		asm.StoreMem(asm.RFP, keyAt+8, asm.R3, asm.DWord),
		asm.StoreMem(asm.RFP, keyAt+16, asm.R4, asm.DWord),
		asm.LoadMapPtr(asm.R1, addresses),
		asm.Mov.Reg(asm.R2, asm.RFP),
		asm.Add.Imm(asm.R2, keyAt),
		asm.FnMapLookupElem.Call(),
		asm.JEq.Imm(asm.R0, 0, labelPass),
		asm.LoadMem(asm.R1, asm.R0, 0, asm.Word),
		asm.LoadMem(asm.R2, asm.R7, 0, asm.Word),
		asm.JNE.Reg(asm.R1, asm.R2, labelPass),
		asm.LoadMem(asm.R1, asm.R0, 4, asm.Half),
		asm.LoadMem(asm.R2, asm.R7, 4, asm.Half),
		asm.JNE.Reg(asm.R1, asm.R2, labelPass),
		asm.LoadMem(asm.R2, asm.R6, 16, asm.Word), // xdp_md.rx_queue_index
		asm.LoadMapPtr(asm.R1, sockets),
		asm.Mov.Imm(asm.R3, xdpPass),
		asm.FnRedirectMap.Call(),
		asm.Return(),
		asm.Mov.Imm(asm.R0, xdpPass).WithSymbol(labelPass),
		asm.Return(),
	}
}

// xdpPass is the verdict XDP_PASS.
const xdpPass = 2

// attach puts the program before the interface: in the driver, or else in the
// kernel's generic way. Its link is closed with the process.
func (p *program) attach(index int) (err error) {
	p.link, err = link.AttachXDP(link.XDPOptions{Program: p.prog, Interface: index, Flags: link.XDPDriverMode})
	if err == nil {
		p.native = true
		return nil
	}
	if errors.Is(err, unix.EBUSY) || errors.Is(err, unix.EPERM) || errors.Is(err, unix.EEXIST) {
		return err
	}
	p.link, err = link.AttachXDP(link.XDPOptions{Program: p.prog, Interface: index, Flags: link.XDPGenericMode})
	return err
}

// detach takes the program off the interface.
func (p *program) detach() {
	if p.link != nil {
		p.link.Close()
		p.link = nil
	}
}

func (p *program) close() {
	p.detach()
	if p.prog != nil {
		p.prog.Close()
	}
	if p.sockets != nil {
		p.sockets.Close()
	}
	if p.addresses != nil {
		p.addresses.Close()
	}
}

// serve makes the table of addresses the given ones, as far as there is room, and
// tells how many there are; before is what it was.
func (p *program) serve(before, now map[netip.Addr]place) error {
	var errs []error
	for a, mac := range now {
		if before[a] == mac {
			continue
		}
		if err := p.addresses.Put(keyOf(a), mac); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", a, err))
		}
	}
	for a := range before {
		if _, stays := now[a]; stays {
			continue
		}
		if err := p.addresses.Delete(keyOf(a)); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			errs = append(errs, fmt.Errorf("%s: %w", a, err))
		}
	}
	return errors.Join(errs...)
}

// addressesOf reads the addresses that an interface has now.
func addressesOf(ifi *net.Interface) (map[netip.Addr]place, error) {
	list, err := ifi.Addrs()
	if err != nil {
		return nil, err
	}
	var mac place
	copy(mac[:6], ifi.HardwareAddr)
	found := make(map[netip.Addr]place, len(list))
	for _, a := range list {
		prefix, ok := a.(*net.IPNet)
		if !ok || len(found) == maxAddresses {
			continue
		}
		if addr, ok := netip.AddrFromSlice(prefix.IP); ok {
			found[addr.Unmap()] = mac
		}
	}
	return found, nil
}
