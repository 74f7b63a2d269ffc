package xdp

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Check tells what stands in the way of taking an interface's questions, and what to do
// about it. It changes nothing.
func Check(name string) error {
	if _, err := find(name); err != nil {
		return err
	}
	fd, err := unix.Socket(unix.AF_XDP, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("xdp://%s: %w", name, explain(fmt.Errorf("opening an AF_XDP socket: %w", err)))
	}
	unix.Close(fd)
	p, err := loadProgram(DefaultPort)
	if err != nil {
		return fmt.Errorf("xdp://%s: %w", name, explain(err))
	}
	p.close()
	return nil
}

// find looks for an Ethernet interface.
func find(name string) (*net.Interface, error) {
	ifi, err := net.InterfaceByName(name)
	if err != nil {
		advice := "ip link lists the interfaces"
		if list, err := net.Interfaces(); err == nil && len(list) > 0 {
			names := make([]string, 0, len(list))
			for _, i := range list[:min(len(list), 10)] {
				names = append(names, i.Name)
			}
			slices.Sort(names)
			advice = "there are " + strings.Join(names, ", ")
		}
		return nil, fmt.Errorf("xdp://%s: there is no such network interface: %s", name, advice)
	}
	if len(ifi.HardwareAddr) != 6 {
		return nil, fmt.Errorf("xdp://%s: not an Ethernet interface: name one that has a MAC (ip link shows it), or use dns:// alone", name)
	}
	return ifi, nil
}

// privileges is what to do about a lack of them.
const privileges = "run as root, or give it CAP_NET_RAW, CAP_NET_ADMIN and CAP_BPF (AmbientCapabilities= in a systemd unit, or setcap cap_net_raw,cap_net_admin,cap_bpf+ep on the program)"

// explain adds to an error what to do.
func explain(err error) error {
	switch {
	case errors.Is(err, unix.EAFNOSUPPORT), errors.Is(err, unix.EPROTONOSUPPORT), errors.Is(err, unix.ENOSYS):
		return fmt.Errorf("%w: %w; leave xdp:// out", err, ErrUnsupported)
	case errors.Is(err, unix.ENOBUFS), errors.Is(err, unix.ENOMEM):
		return fmt.Errorf("%w: memory for frames must be locked: raise the limit (LimitMEMLOCK=infinity, ulimit -l), or give it CAP_IPC_LOCK", err)
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		return fmt.Errorf("%w: %s", err, privileges)
	case errors.Is(err, unix.EBUSY), errors.Is(err, unix.EEXIST):
		return fmt.Errorf("%w: another program has the interface's XDP hook or its queue: ip link shows which (prog/xdp id), stop it", err)
	case errors.Is(err, unix.EOPNOTSUPP):
		return fmt.Errorf("%w: this interface's driver, or the kernel, has no XDP: leave xdp:// out", err)
	}
	return err
}
