package rootzone

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"lastgood/internal/wire"
)

// seal puts the right checksum behind a file without one.
func seal(body []byte) []byte {
	sum := sha256.Sum256(body)
	return append(bytes.Clone(body), sum[:]...)
}

func unseal(file []byte) []byte { return bytes.Clone(file[:len(file)-sha256.Size]) }

func TestFile(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for range 100 {
		d, confirmed := build(t, randomZone(t, r, r.Uint32())), time.Unix(r.Int64N(1<<33), 0).UTC()
		file := d.Encode(confirmed)
		got, at, err := Decode(file)
		if err != nil || !got.same(d) || !at.Equal(confirmed) || got.Len() != d.Len() || got.Serial() != d.Serial() {
			t.Fatalf("%v: %d records of %d, confirmed %v", err, got.Len(), d.Len(), at)
		}
	}
	z := verify(t, smallZone(t))
	d, _, err := Decode(z.Encode(signedAt))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Verify(anchorOf(t, testKSK), signedAt, policy); err != nil {
		t.Errorf("what was good is not any more: %v", err)
	}
}

// TestFileDamaged: no single octet can change unnoticed, nor the end be missing.
func TestFileDamaged(t *testing.T) {
	file := build(t, parse(t, ".", smallRoot)).Encode(signedAt)
	for i := range file {
		bad := bytes.Clone(file)
		bad[i] ^= 0x10
		if _, _, err := Decode(bad); !errors.Is(err, errDamaged) && !errors.Is(err, errFile) {
			t.Fatalf("octet %d: %v", i, err)
		}
		if _, _, err := Decode(file[:i]); err == nil {
			t.Fatalf("%d octets are enough", i)
		}
	}
	later := unseal(file)
	later[len(magic)+1]++
	if _, _, err := Decode(seal(later)); !errors.Is(err, errFile) {
		t.Errorf("a later version: %v", err)
	}
	for _, at := range []int{len(magic) + 2, len(magic) + 10, len(magic) + 14, len(magic) + 18} {
		bad := unseal(file)
		bad[at]++
		if _, _, err := Decode(seal(bad)); !errors.Is(err, errDamaged) {
			t.Errorf("head changed at %d: %v", at, err)
		}
	}
	if _, _, err := Decode(make([]byte, MaxFile+1)); !errors.Is(err, errFile) {
		t.Errorf("too long: %v", err)
	}
}

// TestFileForm: there is one form only, whoever made the checksum.
func TestFileForm(t *testing.T) {
	body := unseal(build(t, parse(t, ".", smallRoot)).Encode(signedAt))
	with := func(change func(nodes []byte) []byte) []byte {
		nodes := change(bytes.Clone(body[fileHead:]))
		out := append(bytes.Clone(body[:fileHead]), nodes...)
		binary.BigEndian.PutUint32(out[fileHead-4:], uint32(len(nodes)))
		return seal(out)
	}
	if _, _, err := Decode(with(func(b []byte) []byte { return b })); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		what   string
		change func(nodes []byte) []byte
	}{
		{"a capital letter", func(b []byte) []byte { return bytes.Replace(b, []byte("\x02aa\x00\x02"), []byte("\x02AA\x00\x02"), 1) }},
		{"an octet more", func(b []byte) []byte { return append(b, 0) }},
		{"an octet less", func(b []byte) []byte { return b[:len(b)-1] }},
		{"a name without sets", func(b []byte) []byte { return append(b, "\x02zz\x00\x00"...) }},
		{"a set without records", func(b []byte) []byte {
			return append(b, "\x02zz\x00\x01\x00\x01\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00"...)
		}},
		{"a set that is longer than the file", func(b []byte) []byte {
			return append(b, "\x02zz\x00\x01\x00\x01\x00\x00\x00\x01\xff\xff\xff\xff\xff\xff\xff\xff"...)
		}},
		{"nothing", func([]byte) []byte { return nil }},
	} {
		if _, _, err := Decode(with(tc.change)); !errors.Is(err, errDamaged) {
			t.Errorf("%s: %v", tc.what, err)
		}
	}
}

// FuzzDecode: what is read is as sound as what Build makes, and writes back as it
// was; all of it can be asked and digested.
func FuzzDecode(f *testing.F) {
	r := rand.New(rand.NewPCG(7, 8))
	f.Add(unseal(build(f, parse(f, ".", smallRoot)).Encode(signedAt)))
	f.Add(unseal(build(f, smallZone(f)).Encode(signedAt)))
	for range 5 {
		f.Add(unseal(build(f, randomZone(f, r, 1)).Encode(signedAt)))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		file := seal(body)
		d, confirmed, err := Decode(file)
		if err != nil {
			return
		}
		if !bytes.Equal(d.Encode(confirmed), file) {
			t.Fatal("another file was written than was read")
		}
		soundData(t, d)
	})
}

// soundData reads all of a zone.
func soundData(t *testing.T, d *Data) {
	t.Helper()
	d.digest(sha256.New())
	var all []Record
	for r := range d.Records() {
		if err := wire.CheckRdata(r.Type, r.Data); err != nil {
			t.Fatalf("%s %s: %v", r.Name, r.Type, err)
		}
		all = append(all, r)
	}
	if again := build(t, all); !again.same(d) || len(all) != d.Len() {
		t.Fatal("its records make another zone")
	}
}
