package anchor

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"lastgood/internal/dnsname"
)

const negativesHeading = "lastgood negative trust anchors, version 1"

// mostNegativesText is more octets than as many as there may be take, each with the
// longest name and reason, all of it escaped.
const mostNegativesText = 1<<21 - 1

// Marshal writes the added ones as text, to outlive a restart.
func (n *Negatives) Marshal() []byte {
	text := []byte(negativesHeading + "\n")
	for _, a := range n.List() {
		if a.Configured {
			continue
		}
		kind := "plain"
		if a.Forced {
			kind = "forced"
		}
		text = fmt.Appendf(text, "%s %s %s %s %s\n", a.Zone, stamp(a.Added), stamp(a.Until), kind, strconv.Quote(a.Reason))
	}
	return seal(text)
}

// Unmarshal replaces the added ones by those of a text that Marshal wrote. Those
// that have ended are left out. One whose end is further ahead than a week stays as it
// is: the clock is perhaps not set yet, and Expire sees to its end. On an error, which
// names the line, nothing changes.
func (n *Negatives) Unmarshal(text []byte, wall time.Time) error {
	lines, err := unseal(text, negativesHeading, mostNegativesText)
	if err != nil {
		return err
	}
	if len(lines) > mostNegatives {
		return unsound(mostNegatives+2, "more than %d negative trust anchors", mostNegatives)
	}
	next := map[dnsname.Name]*Against{}
	for i, line := range lines {
		a, err := readAgainst(line)
		if err != nil {
			return unsound(i+2, "%v", err)
		}
		if next[a.Zone] != nil {
			return unsound(i+2, "a second negative trust anchor of %s", a.Zone)
		}
		next[a.Zone] = a
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for zone, a := range next {
		if !wall.Before(a.Until) {
			delete(next, zone)
		}
	}
	n.added = next
	n.publish()
	return nil
}

func readAgainst(line string) (*Against, error) {
	fields := strings.SplitN(line, " ", 5)
	if len(fields) != 5 {
		return nil, fmt.Errorf("%s is no negative trust anchor", quote(line))
	}
	a := new(Against)
	var err error
	if a.Zone, err = dnsname.Parse(fields[0]); err != nil {
		return nil, fmt.Errorf("%s is no name (%w)", quote(fields[0]), err)
	}
	if a.Added, err = readStamp(fields[1]); err != nil {
		return nil, err
	}
	if a.Until, err = readStamp(fields[2]); err != nil {
		return nil, err
	}
	if !slices.Contains([]string{"plain", "forced"}, fields[3]) {
		return nil, fmt.Errorf("%s is neither plain nor forced", quote(fields[3]))
	}
	a.Forced = fields[3] == "forced"
	if a.Reason, err = strconv.Unquote(fields[4]); err != nil {
		return nil, fmt.Errorf("%s is no text in quotes", quote(fields[4]))
	}
	return a, a.check(a.Added)
}
