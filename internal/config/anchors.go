package config

import (
	"encoding/base64"
	"encoding/hex"
	"strconv"
	"strings"
)

// chaosText checks what goes into one character-string of a TXT record.
func chaosText(text string) *problem {
	const most = 255 // RFC 1035 §3.3
	if len(text) > most {
		return &problem{quote(text) + " is longer than 255 octets", "shorten it"}
	}
	return nil
}

// trustAnchor checks the form of a DS or DNSKEY record: owner, TTL and class
// where they are given, type, rdata. Text without spaces is a file's name,
// which is not opened here.
func trustAnchor(text string) *problem {
	record, _, _ := strings.Cut(text, ";")
	fields := strings.Fields(strings.NewReplacer("(", " ", ")", " ").Replace(record))
	bad := func(why string) *problem {
		return &problem{quote(text) + " " + why, `write a record such as ". IN DS 20326 8 2 E06D…", or a file's name`}
	}
	if len(fields) == 0 {
		return bad("is empty")
	}
	if len(fields) == 1 {
		return nil
	}
	if _, wrong := parseName(fields[0]); wrong != nil {
		return bad("does not begin with a zone's name")
	}
	fields = fields[1:]
	for len(fields) > 0 && (strings.EqualFold(fields[0], "IN") || strings.Trim(fields[0], "0123456789") == "") {
		fields = fields[1:]
	}
	if len(fields) < 5 {
		return bad("is no complete DS or DNSKEY record")
	}
	data := strings.Join(fields[4:], "")
	switch strings.ToUpper(fields[0]) {
	case "DS":
		if _, err := hex.DecodeString(data); err != nil || !below(fields[1], 1<<16) || !algorithm(fields[2]) || !below(fields[3], 1<<8) {
			return bad("is no DS record: key tag, algorithm, digest type, hexadecimal digest")
		}
	case "DNSKEY":
		if _, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(data, "=")); err != nil || !below(fields[1], 1<<16) || !below(fields[2], 1<<8) || !algorithm(fields[3]) {
			return bad("is no DNSKEY record: flags, protocol, algorithm, key in base64")
		}
	default:
		return bad("is neither a DS nor a DNSKEY record")
	}
	return nil
}

// below tells whether a field is a number below a limit.
func below(field string, limit uint64) bool {
	n, err := strconv.ParseUint(field, 10, 32)
	return err == nil && n < limit
}

// algorithm takes a number or a mnemonic such as RSASHA256 (RFC 4034 §2.2).
func algorithm(field string) bool {
	return below(field, 1<<8) || field[0] >= 'A' && strings.ToUpper(field) == field
}
