package cli

import (
	"log/slog"
	"os"
	"os/signal"
	"syscall"
)

// catchHangups keeps SIGHUP from ending the program: operators send it to have
// a configuration read again. Where it is ignored already (nohup) it stays so.
func catchHangups() (hangups <-chan os.Signal, forget func()) {
	c := make(chan os.Signal, 1)
	if signal.Ignored(syscall.SIGHUP) {
		return c, func() {}
	}
	signal.Notify(c, syscall.SIGHUP)
	return c, func() { signal.Stop(c) }
}

// onTerminal tells whether the program was started from a terminal; a service
// has none.
func onTerminal() bool {
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err == nil {
		tty.Close()
	}
	return err == nil
}

// checkFiles warns when fewer files may be open than the limits of the
// configuration may need; Go has raised the soft limit to the hard one.
func checkFiles(log *slog.Logger, wanted int) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil || limit.Cur >= uint64(wanted) {
		return
	}
	log.Warn("the system lets too few files be open for the configured limits: under a flood some clients and name servers will not be reached",
		"limit", limit.Cur, "wanted", wanted, "advice", "raise it (ulimit -n, LimitNOFILE=) or lower limits.tcp-connections")
}
