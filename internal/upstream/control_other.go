//go:build !linux

package upstream

import "syscall"

// udpControl has nothing to set here.
func udpControl(string, string, syscall.RawConn) error { return nil }
