package anchor

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"lastgood/internal/dnsname"
	"lastgood/internal/dnssec"
)

const xmlRemedy = "fetch the file from IANA again"

// keyDigest is one anchor of IANA's file (RFC 9718 §2.1.2).
type keyDigest struct {
	ID         string `xml:"id,attr"`
	From       string `xml:"validFrom,attr"`
	Until      string `xml:"validUntil,attr"`
	Tag        string `xml:"KeyTag"`
	Algorithm  string `xml:"Algorithm"`
	DigestType string `xml:"DigestType"`
	Digest     string `xml:"Digest"`
	PublicKey  string `xml:"PublicKey"` // optional, and Flags with it
	Flags      string `xml:"Flags"`
}

// xmlReader reads one file.
type xmlReader struct {
	*xml.Decoder
	file    string
	wall    time.Time
	zone    dnsname.Name
	digests []keyDigest
	lines   []int
}

func (r *xmlReader) line() int {
	line, _ := r.InputPos()
	return line
}

func (r *xmlReader) wrong(line int, format string, args ...any) error {
	return &mistake{r.file, line, fmt.Sprintf(format, args...), xmlRemedy}
}

// parseXML reads IANA's form. Anchors that are not valid at the moment are left
// out; it is an error if none is left.
func parseXML(file, text string, wall time.Time) (*Anchor, error) {
	r := &xmlReader{Decoder: xml.NewDecoder(strings.NewReader(text)), file: file, wall: wall}
	if err := r.read(); err != nil {
		return nil, err
	}
	if r.zone == "" {
		return nil, r.wrong(r.line(), "no element Zone in TrustAnchor")
	}
	a := &Anchor{Zone: r.zone}
	for i := range r.digests {
		d, valid, err := r.anchor(&r.digests[i])
		if err != nil {
			return nil, r.wrong(r.lines[i], "KeyDigest %s: %v", quote(r.digests[i].ID), err)
		}
		if valid && everything.Algorithm(d.Algorithm) && everything.Digest(d.Type) {
			a.addDS(d)
		}
	}
	if a.Empty() {
		return nil, &mistake{file, 0, "none of its trust anchors is valid, and of a known algorithm, at " + wall.UTC().Format(time.RFC3339), xmlRemedy + ", or set the clock"}
	}
	return a, nil
}

// read goes through the elements.
func (r *xmlReader) read() error {
	root := false
	for {
		token, err := r.Token()
		switch {
		case err == io.EOF && root:
			return nil
		case err != nil:
			return r.syntax(err)
		}
		start, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		switch name := start.Name.Local; {
		case !root && name != "TrustAnchor":
			return r.wrong(r.line(), "the element %s is no TrustAnchor", quote(name))
		case !root:
			root = true
			continue
		}
		if err := r.element(&start); err != nil {
			return err
		}
	}
}

// element reads one below the root. What is not known, such as certificates of
// older versions, is passed over.
func (r *xmlReader) element(start *xml.StartElement) error {
	line := r.line()
	switch start.Name.Local {
	case "Zone":
		var text string
		if err := r.DecodeElement(&text, start); err != nil {
			return r.syntax(err)
		}
		zone, err := dnsname.Parse(strings.TrimSpace(text))
		if err != nil || r.zone != "" && r.zone != zone {
			return r.wrong(line, "%s is no zone's name, or a second one", quote(text))
		}
		r.zone = zone
	case "KeyDigest":
		var d keyDigest
		if err := r.DecodeElement(&d, start); err != nil {
			return r.syntax(err)
		}
		if len(r.digests) == mostRecords {
			return r.wrong(line, "more than %d anchors", mostRecords)
		}
		r.digests, r.lines = append(r.digests, d), append(r.lines, line)
	default:
		if err := r.Skip(); err != nil {
			return r.syntax(err)
		}
	}
	return nil
}

func (r *xmlReader) syntax(err error) error {
	var bad *xml.SyntaxError
	switch {
	case errors.As(err, &bad):
		return r.wrong(bad.Line, "no sound XML (%s)", short(bad.Msg))
	case err == io.EOF || errors.Is(err, io.ErrUnexpectedEOF):
		return r.wrong(r.line(), "the file ends too early")
	}
	return r.wrong(r.line(), "no sound XML (%s)", short(err.Error()))
}

// anchor makes a DS record of an element, and tells whether it counts now.
func (r *xmlReader) anchor(k *keyDigest) (d dnssec.DS, valid bool, err error) {
	tag, ok := number(strings.TrimSpace(k.Tag), 16)
	algorithm, known := number(strings.TrimSpace(k.Algorithm), 8)
	kind, sound := number(strings.TrimSpace(k.DigestType), 8)
	digest, err := hex.DecodeString(strings.Join(strings.Fields(k.Digest), ""))
	if !ok || !known || !sound || err != nil {
		return d, false, errors.New("no key tag, algorithm, digest type and hexadecimal digest")
	}
	d, err = dnssec.ReadDS(append([]byte{byte(tag >> 8), byte(tag), byte(algorithm), byte(kind)}, digest...))
	if err != nil {
		return d, false, err
	}
	if err := r.sameKey(k, &d); err != nil {
		return d, false, err
	}
	from, err := moment(k.From)
	if err != nil {
		return d, false, err
	}
	until, err := moment(k.Until)
	if err != nil {
		return d, false, err
	}
	return d, !r.wall.Before(from) && (until.IsZero() || r.wall.Before(until)), nil
}

// sameKey holds the digest against the key, if that is there.
func (r *xmlReader) sameKey(k *keyDigest, d *dnssec.DS) error {
	if strings.TrimSpace(k.PublicKey) == "" || strings.TrimSpace(k.Flags) == "" {
		return nil
	}
	flags, ok := number(strings.TrimSpace(k.Flags), 16)
	public, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(k.PublicKey), ""))
	if !ok || err != nil {
		return errors.New("no flags and key in base64")
	}
	key, err := readKey(uint16(flags), 3, byte(d.Algorithm), public)
	if err != nil {
		return err
	}
	if everything.Digest(d.Type) && !d.Matches(r.zone, key) {
		return errors.New("the digest is of another key")
	}
	return nil
}

// moment reads an xsd:dateTime, which is UTC if it does not say, zero for none.
func moment(text string) (time.Time, error) {
	if text = strings.TrimSpace(text); text == "" {
		return time.Time{}, nil
	}
	for _, form := range []string{time.RFC3339, "2006-01-02T15:04:05"} {
		if t, err := time.Parse(form, text); err == nil {
			return t, nil
		}
	}
	return time.Time{}, errors.New(quote(text) + " is no moment such as 2017-02-02T00:00:00+00:00")
}
