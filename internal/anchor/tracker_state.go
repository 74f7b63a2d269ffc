package anchor

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"lastgood/internal/dnsname"
	"lastgood/internal/dnssec"
)

const trackerHeading = "lastgood trust anchors (RFC 5011), version 1"

// Marshal writes what is known as text, to outlive a restart. A key's line says its
// state, whence it is, since when and until when, which lines' keys vouched for it,
// and the key as in a DNSKEY record.
func (t *Tracker) Marshal() []byte {
	text := fmt.Appendf(nil, "%s\nzone %s due %s retry %d\n", trackerHeading, t.seeds.Zone, stampOrNone(t.due), t.retry/time.Second)
	for _, r := range t.keys {
		origin := "learned"
		if r.configured {
			origin = "configured"
		}
		text = fmt.Appendf(text, "key %s %s %s %s %s %d 3 %d %s\n", r.state, origin, stamp(r.since), stampOrNone(r.until), t.ordinals(r.by),
			r.key.Flags, uint8(r.key.Algorithm), base64.StdEncoding.EncodeToString(r.key.Data()[4:]))
	}
	return seal(text)
}

// ordinals says which of the keys some are, from 1.
func (t *Tracker) ordinals(list []*record) string {
	var out []string
	for _, r := range list {
		if i := slices.Index(t.keys, r); i >= 0 {
			out = append(out, strconv.Itoa(i+1))
		}
	}
	if len(out) == 0 {
		return "-"
	}
	return strings.Join(out, ",")
}

// ReadTracker makes a tracker of the anchor that is given now, and of a text that
// Marshal wrote. Keys that were trusted because an anchor of old had them are no
// more when it has them no longer; what the zone itself vouched for stays, and so
// does what is revoked. A text that has no key of the anchor is of another one: that
// is an error, as is any damage, and names the line.
func ReadTracker(a *Anchor, text []byte) (*Tracker, error) {
	lines, err := unseal(text, trackerHeading, mostText)
	if err != nil {
		return nil, err
	}
	if len(lines) == 0 {
		return nil, unsound(2, "the zone is missing")
	}
	t := NewTracker(a)
	if err := t.readHead(lines[0]); err != nil {
		return nil, unsound(2, "%v", err)
	}
	if most := mostRecords + mostTracked; len(lines)-1 > most {
		return nil, unsound(3, "more than %d keys", most)
	}
	vouchers := make([]string, 0, len(lines)-1)
	for i, line := range lines[1:] {
		r, by, err := readRecord(line)
		if err == nil && t.find(r.key) != nil {
			err = fmt.Errorf("the same key once more")
		}
		if err != nil {
			return nil, unsound(i+3, "%v", err)
		}
		t.keys, vouchers = append(t.keys, r), append(vouchers, by)
	}
	for i, by := range vouchers {
		if err := t.vouch(i, by); err != nil {
			return nil, unsound(i+3, "%v", err)
		}
	}
	if err := t.settle(); err != nil {
		return nil, err
	}
	return t, nil
}

// readHead reads the line of the zone.
func (t *Tracker) readHead(line string) error {
	fields := strings.Fields(line)
	if len(fields) != 6 || fields[0] != "zone" || fields[2] != "due" || fields[4] != "retry" {
		return fmt.Errorf("%s does not name the zone", quote(line))
	}
	zone, err := dnsname.Parse(fields[1])
	if err != nil || zone != t.seeds.Zone {
		return fmt.Errorf("%s is not %s", quote(fields[1]), t.seeds.Zone)
	}
	if t.due, err = readStamp(fields[3]); err != nil {
		return err
	}
	seconds, ok := number(fields[5], 31)
	if !ok {
		return fmt.Errorf("%s is no number of seconds", quote(fields[5]))
	}
	t.retry = min(max(time.Duration(seconds)*time.Second, time.Hour), 24*time.Hour)
	return nil
}

// readRecord reads the line of a key, and which others vouched for it.
func readRecord(line string) (r *record, by string, err error) {
	fields := strings.Fields(line)
	if len(fields) != 10 || fields[0] != "key" {
		return nil, "", fmt.Errorf("%s is no key", quote(line))
	}
	r = new(record)
	switch i := slices.Index(stateNames[:], fields[1]); {
	case i < 0:
		return nil, "", fmt.Errorf("%s is no state of a key", quote(fields[1]))
	case fields[2] != "configured" && fields[2] != "learned":
		return nil, "", fmt.Errorf("%s is neither configured nor learned", quote(fields[2]))
	default:
		r.state, r.configured = state(i), fields[2] == "configured"
	}
	if r.since, err = readStamp(fields[3]); err != nil {
		return nil, "", err
	}
	if r.until, err = readStamp(fields[4]); err != nil {
		return nil, "", err
	}
	if timed := r.state == addPend || r.state == revoked; timed == r.until.IsZero() {
		return nil, "", fmt.Errorf("the moment %s does not go with %s", fields[4], r.state)
	}
	if r.state == addPend && r.until.Sub(r.since) < holdDown {
		return nil, "", fmt.Errorf("a key that is trusted after less than 30 days")
	}
	r.key, err = readFields(fields[6:])
	return r, fields[5], err
}

// readFields reads a key as in a DNSKEY record.
func readFields(fields []string) (*dnssec.Key, error) {
	flags, ok := number(fields[0], 16)
	algorithm, known := number(fields[2], 8)
	public, err := base64.StdEncoding.DecodeString(fields[3])
	if !ok || !known || fields[1] != "3" || err != nil {
		return nil, fmt.Errorf("no key: flags, protocol, algorithm, key in base64")
	}
	return readKey(uint16(flags), 3, byte(algorithm), public)
}

// vouch reads which keys vouched for one.
func (t *Tracker) vouch(i int, by string) error {
	r := t.keys[i]
	if r.state != addPend {
		if by != "-" {
			return fmt.Errorf("a key that is %s needs nobody to vouch for it", r.state)
		}
		return nil
	}
	for field := range strings.SplitSeq(by, ",") {
		n, err := strconv.Atoi(field)
		if err != nil || n < 1 || n > len(t.keys) || t.keys[n-1].state == addPend || slices.Contains(r.by, t.keys[n-1]) {
			return fmt.Errorf("%s does not name keys that vouched for it", quote(by))
		}
		r.by = append(r.by, t.keys[n-1])
	}
	return nil
}

// settle brings what was read together with the anchor that is given now.
func (t *Tracker) settle() error {
	if len(t.keys) > 0 && !slices.ContainsFunc(t.keys, func(r *record) bool { return t.seeds.Trusts(r.key) }) {
		return unsound(3, "none of its keys is one of the trust anchor of %s that is configured", t.seeds.Zone)
	}
	dropped := map[*record]bool{}
	for _, r := range t.keys {
		given := t.seeds.Trusts(r.key)
		dropped[r] = r.configured && !given && !r.state.gone()
		if given && r.state == addPend {
			r.state, r.until, r.by, r.configured = valid, time.Time{}, nil, true
		}
	}
	isDropped := func(r *record) bool { return dropped[r] }
	for _, r := range t.keys {
		if r.state == addPend {
			r.by = slices.DeleteFunc(r.by, isDropped)
			dropped[r] = len(r.by) == 0
		}
	}
	t.keys = slices.DeleteFunc(t.keys, isDropped)
	return nil
}
