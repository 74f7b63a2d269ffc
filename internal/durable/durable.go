// Package durable is the only one that writes files. What it writes is there as
// a whole, under its name and on the disk, or not at all: whoever reads a file
// never sees half of one, whenever the program, the system or the power ended.
//
// It must not know what it writes, and keeps no state.
package durable

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// bufferSize is how much is handed to the system at once.
const bufferSize = 64 << 10

// namesMost bounds how many names of a directory are looked at for leftovers of
// crashes.
const namesMost = 16 << 10

// tempTries bounds how often a temporary file is made anew: where there are no locks
// the last one has to do.
const tempTries = 5

// WriteFile replaces the file at path by what write writes, with permissions
// perm (whatever the umask). The content goes to a temporary file in the same
// directory first, is synced, and takes the name when it is complete; then the
// directory is synced. On any error, one of write's too, the file that was
// there stays as it was and the temporary one is removed. Those that earlier
// crashes left are removed as well.
//
// The directory must exist; what is no file, such as a device, is not replaced.
// Writes to one path at once do not disturb each other: the last one wins.
func WriteFile(path string, perm fs.FileMode, write func(io.Writer) error) error {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return fmt.Errorf("write %s: that is no file: choose another path", path)
	}
	dir, base := filepath.Split(path)
	dir = filepath.Clean(dir)
	removeStale(dir, base)
	f, err := createTemp(dir, base)
	if err != nil {
		return explain("write "+path, err)
	}
	defer f.Close() // what is synced, or given up, has nothing to lose by it
	done := false
	defer func() {
		if !done {
			os.Remove(f.Name()) // where that fails, the next call tries again
		}
	}()
	if err := fill(f, perm, write); err != nil {
		return explain("write "+path, err)
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return explain("write "+path, err)
	}
	done = true
	return explain("write "+path, syncDir(dir))
}

// createTemp makes a temporary file. Until it is closed a lock tells others that
// somebody is at work there. Who looked for leftovers between may have taken it for
// one, before it was locked, and removed it: then there is to be another.
func createTemp(dir, base string) (*os.File, error) {
	for try := 1; ; try++ {
		f, err := os.CreateTemp(dir, tempPrefix(base)+"*")
		if err != nil || lock(f) && named(f) || try == tempTries {
			return f, err
		}
		os.Remove(f.Name()) // where it is there still, and a lock was not to be had
		f.Close()
	}
}

// named tells whether a file still has the name that it was opened by.
func named(f *os.File) bool {
	own, err := f.Stat()
	if err != nil {
		return false
	}
	there, err := os.Lstat(f.Name())
	return err == nil && os.SameFile(own, there)
}

// fill writes and syncs a temporary file.
func fill(f *os.File, perm fs.FileMode, write func(io.Writer) error) error {
	if err := f.Chmod(perm); err != nil {
		return err
	}
	b := bufio.NewWriterSize(f, bufferSize)
	if err := write(b); err != nil {
		return err
	}
	if err := b.Flush(); err != nil {
		return err
	}
	return f.Sync()
}

// tempPrefix begins the names of the temporary files for a file.
func tempPrefix(base string) string { return "." + base + ".new-" }

// removeStale removes temporary files for base that nobody writes to any more.
// That it cannot is no reason not to write.
func removeStale(dir, base string) {
	d, err := os.Open(dir)
	if err != nil {
		return
	}
	defer d.Close()
	for range namesMost / 256 {
		names, err := d.Readdirnames(256)
		for _, name := range names {
			if strings.HasPrefix(name, tempPrefix(base)) {
				removeUnlocked(filepath.Join(dir, name))
			}
		}
		if err != nil {
			return
		}
	}
}

// removeUnlocked removes a file unless somebody holds its lock.
func removeUnlocked(path string) {
	f, err := os.OpenFile(path, os.O_RDWR|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return
	}
	defer f.Close()
	if lock(f) {
		os.Remove(path) // where that fails, the next call tries again
	}
}

// syncDir makes a new name last. Some file systems cannot sync directories;
// they are taken at their word.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Sync(); err != nil && !errors.Is(err, syscall.EINVAL) && !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	return nil
}

// MakeDir makes the directory of a file, and those above it, for its owner
// alone; one that is there already stays as it is.
func MakeDir(dir string) error {
	return explain("make directory "+dir, os.MkdirAll(dir, 0o700))
}

// explain says what could not be done and what to do about it; nil for nil.
func explain(what string, err error) error {
	if err == nil {
		return nil
	}
	if remedy := remedyFor(err); remedy != "" {
		return fmt.Errorf("%s: %w (%s)", what, plain(err), remedy)
	}
	return fmt.Errorf("%s: %w", what, plain(err))
}

// plain leaves the names of temporary files away: they are gone. An error that
// wraps one of the system's is somebody else's and stays as it is.
func plain(err error) error {
	var p *fs.PathError
	var l *os.LinkError
	switch {
	case errors.As(err, &p) && error(p) == err:
		return p.Err
	case errors.As(err, &l) && error(l) == err:
		return l.Err
	}
	return err
}

// remedyFor is what to do about an error of the system, "" where nothing is to
// be said.
func remedyFor(err error) string {
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return "the disk is full or the quota used up: make room, or choose another directory"
	case errors.Is(err, syscall.EROFS):
		return "the file system is read-only: choose another directory, or in a systemd unit add StateDirectory="
	case errors.Is(err, fs.ErrPermission):
		return fmt.Sprintf("user %d may not write there: give it the directory, or choose another", os.Geteuid())
	case errors.Is(err, syscall.ENOTDIR):
		return "part of the path is a file: choose another path"
	case errors.Is(err, fs.ErrNotExist):
		return "the directory does not exist: make it, or choose another"
	case errors.Is(err, syscall.EFBIG):
		return "the file would be larger than allowed (ulimit -f)"
	}
	return ""
}
