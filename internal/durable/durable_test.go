package durable

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// beWriter makes the test's binary a program that writes the file it names so
// many times, and then stops in the middle of the next.
const (
	beWriter = "LASTGOOD_TEST_BE_WRITER"
	writes   = "LASTGOOD_TEST_WRITES"
)

func TestMain(m *testing.M) {
	if file := os.Getenv(beWriter); file != "" {
		n, err := strconv.Atoi(os.Getenv(writes))
		if err != nil {
			panic(err)
		}
		writeUntilKilled(file, n)
	}
	os.Exit(m.Run())
}

// line is what the writer's files are made of: the same number all over.
func line(n int) []byte { return fmt.Appendf(nil, "%09d\n", n) }

const lines = 20_000

// writeUntilKilled tells on its output when it stopped.
func writeUntilKilled(file string, files int) {
	for n := 1; ; n++ {
		err := WriteFile(file, 0o600, func(w io.Writer) error {
			for i := range lines {
				if i == lines/2 && n > files {
					fmt.Println("halfway")
					io.Copy(io.Discard, os.Stdin) // nobody writes there
				}
				if _, err := w.Write(line(n)); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
	}
}

// whole tells which file of the writer's it is; 0 when there is none.
func whole(t *testing.T, file string) int {
	t.Helper()
	b, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return 0
	}
	if err != nil {
		t.Fatal(err)
	}
	var n int
	if _, err := fmt.Sscanf(string(b), "%d", &n); err != nil || !bytes.Equal(b, bytes.Repeat(line(n), lines)) {
		t.Fatalf("half a file is there: %d octets", len(b))
	}
	return n
}

// leftovers lists the temporary files in a directory.
func leftovers(t *testing.T, dir string) []string {
	t.Helper()
	list, err := filepath.Glob(filepath.Join(dir, ".*"))
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// A process that is killed in the middle of writing leaves the file that was
// there, whole, and the next one tidies up after it.
func TestKilledWhileWriting(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	for round := range 4 {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), beWriter+"="+file, writes+"="+strconv.Itoa(round))
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := cmd.StdinPipe(); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if said := bufio.NewScanner(out); !said.Scan() || said.Text() != "halfway" {
			t.Errorf("the writer says %q", said.Text())
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err == nil {
			t.Error("the writer was not killed")
		}
		if n := whole(t, file); n != round {
			t.Errorf("file %d is there, want %d", n, round)
		}
		if list := leftovers(t, filepath.Dir(file)); len(list) != 1 {
			t.Errorf("temporary files after a kill: %v, want that of the one killed last", list)
		}
	}
	write(t, file, "new")
	if list := leftovers(t, filepath.Dir(file)); len(list) > 0 {
		t.Errorf("left behind: %v", list)
	}
}

func write(t *testing.T, file, text string) {
	t.Helper()
	err := WriteFile(file, 0o640, func(w io.Writer) error {
		_, err := io.WriteString(w, text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(file); err != nil || string(b) != text {
		t.Fatalf("%q, %v; want %q", b, err, text)
	}
}

func TestWriteFile(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	defer syscall.Umask(syscall.Umask(0o077))
	for _, text := range []string{"", "one", strings.Repeat("a longer one ", 100_000), "two"} {
		write(t, file, text)
	}
	if info, err := os.Stat(file); err != nil || info.Mode() != 0o640 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	t.Chdir(dir)
	write(t, "relative", "text")
}

// Whatever goes wrong, the file that was there stays, and nothing else.
func TestFailureChangesNothing(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	write(t, file, "good")
	mistake := errors.New("no more data")
	for what, write := range map[string]func(io.Writer) error{
		"at once": func(io.Writer) error { return mistake },
		"late": func(w io.Writer) error {
			if _, err := w.Write(make([]byte, 3*bufferSize)); err != nil {
				return err
			}
			return mistake
		},
	} {
		if err := WriteFile(file, 0o600, write); !errors.Is(err, mistake) || !strings.Contains(err.Error(), file) {
			t.Errorf("%s: %v", what, err)
		}
	}
	func() {
		defer func() { recover() }()
		WriteFile(file, 0o600, func(io.Writer) error { panic("a bug") })
	}()
	if b, err := os.ReadFile(file); err != nil || string(b) != "good" {
		t.Errorf("%q, %v", b, err)
	}
	if list := leftovers(t, dir); len(list) > 0 {
		t.Errorf("left behind: %v", list)
	}
}

// What cannot be done is said together with what to do about it.
func TestErrorsSayWhatToDo(t *testing.T) {
	dir := t.TempDir()
	text := filepath.Join(dir, "text")
	write(t, text, "text")
	fill := func(w io.Writer) error {
		_, err := w.Write([]byte("x"))
		return err
	}
	for file, want := range map[string]string{
		filepath.Join(dir, "missing", "file"): "no such file or directory (the directory does not exist: make it, or choose another)",
		filepath.Join(text, "file"):           "not a directory (part of the path is a file: choose another path)",
		dir:                                   "that is no file: choose another path",
		"/dev/null":                           "that is no file: choose another path",
	} {
		err := WriteFile(file, 0o600, fill)
		if err == nil || !strings.HasPrefix(err.Error(), "write "+file+": ") || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%s: %v, want …%s", file, err, want)
		}
	}
	for cause, want := range map[error]string{
		syscall.ENOSPC: "make room", syscall.EDQUOT: "make room", syscall.EROFS: "StateDirectory=",
		syscall.EACCES: "may not write there", syscall.EPERM: "may not write there", syscall.EFBIG: "ulimit -f",
	} {
		err := WriteFile(text, 0o600, func(io.Writer) error { return &fs.PathError{Op: "write", Path: "/tmp/x", Err: cause} })
		if !errors.Is(err, cause) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "/tmp/x") {
			t.Errorf("%v: %v", cause, err)
		}
	}
	if err := MakeDir(filepath.Join(text, "dir")); err == nil || !strings.Contains(err.Error(), "choose another path") {
		t.Errorf("%v", err)
	}
	deep := filepath.Join(dir, "a", "b")
	if err := MakeDir(deep); err != nil {
		t.Error(err)
	}
	if info, err := os.Stat(deep); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v", info, err)
	}
	if err := MakeDir(deep); err != nil {
		t.Errorf("a directory that is there: %v", err)
	}
}

// Those who write one file at once do not take each other's temporary files for
// leftovers; what is not theirs stays as well.
func TestWritersAtOnce(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	others := filepath.Join(dir, ".file.newer")
	if err := os.WriteFile(others, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		if err := os.WriteFile(fmt.Sprintf("%s%d", filepath.Join(dir, tempPrefix("file")), i), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var all sync.WaitGroup
	half := make(chan struct{})
	for i := range 2 {
		all.Go(func() {
			err := WriteFile(file, 0o600, func(w io.Writer) error {
				if i == 0 {
					<-half
				} else {
					defer close(half)
					write(t, file, "in between")
				}
				_, err := w.Write([]byte("at last"))
				return err
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if b, err := os.ReadFile(file); err != nil || string(b) != "at last" {
		t.Errorf("%q, %v", b, err)
	}
	if list := leftovers(t, dir); len(list) != 1 || list[0] != others {
		t.Errorf("there are %v", list)
	}
}

// However many write one file at once, none loses its temporary file to another who
// looks for leftovers.
func TestWritersAgainAndAgain(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 200 {
				if err := WriteFile(file, 0o600, func(w io.Writer) error { _, err := w.Write([]byte("all of it")); return err }); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	if list := leftovers(t, filepath.Dir(file)); len(list) != 0 {
		t.Errorf("there are %v", list)
	}
}
