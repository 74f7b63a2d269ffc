package dnsname

// Parse reads presentation form (RFC 1035 §5.1): dots between labels, \. and
// \DDD escapes; the final dot is optional. "." is the root.
func Parse(text string) (Name, error) {
	if text == "." {
		return Root, nil
	}
	if text == "" {
		return "", ErrEmptyLabel
	}
	buf := make([]byte, 1, len(text)+2)
	label := 0 // where the current label's length octet stands
	for i := 0; i < len(text); i++ {
		c := text[i]
		if c == '.' {
			if err := closeLabel(buf, label); err != nil {
				return "", err
			}
			label = len(buf)
			buf = append(buf, 0)
			continue
		}
		if c == '\\' {
			var n int
			if c, n = unescape(text[i+1:]); n == 0 {
				return "", ErrEscape
			}
			i += n
		}
		buf = append(buf, lower(c))
	}
	if label != len(buf)-1 { // no final dot
		if err := closeLabel(buf, label); err != nil {
			return "", err
		}
		buf = append(buf, 0)
	}
	if len(buf) > MaxLen {
		return "", ErrTooLong
	}
	return Name(buf), nil
}

// MustParse is Parse for constants of the program; it panics on an error.
func MustParse(text string) Name {
	n, err := Parse(text)
	if err != nil {
		panic("dnsname: " + text + ": " + err.Error())
	}
	return n
}

// closeLabel writes the length of the label that began at start.
func closeLabel(buf []byte, start int) error {
	switch n := len(buf) - start - 1; {
	case n == 0:
		return ErrEmptyLabel
	case n > MaxLabel:
		return ErrLabel
	default:
		buf[start] = byte(n)
		return nil
	}
}

// unescape reads what follows a backslash: the octet and how many characters
// it took, 0 when there is none.
func unescape(s string) (c byte, n int) {
	if s == "" {
		return 0, 0
	}
	if s[0] < '0' || s[0] > '9' {
		return s[0], 1
	}
	if len(s) < 3 {
		return 0, 0
	}
	v := 0
	for _, d := range []byte(s[:3]) {
		if d < '0' || d > '9' {
			return 0, 0
		}
		v = v*10 + int(d-'0')
	}
	if v > 255 {
		return 0, 0
	}
	return byte(v), 3
}

// String is n in presentation form with the final dot.
func (n Name) String() string {
	return string(AppendText(nil, []byte(n)))
}

// AppendText appends the presentation form of a name in uncompressed wire form
// of any case.
func AppendText(dst, name []byte) []byte {
	if WireLen(name) != len(name) || len(name) == 0 {
		return append(dst, "<bad name>"...)
	}
	if len(name) == 1 {
		return append(dst, '.')
	}
	for name[0] != 0 {
		n := int(name[0])
		for _, c := range name[1 : 1+n] {
			dst = appendOctet(dst, c)
		}
		dst = append(dst, '.')
		name = name[1+n:]
	}
	return dst
}

// appendOctet escapes what RFC 1035 §5.1 gives a meaning, and what does not print.
func appendOctet(dst []byte, c byte) []byte {
	switch {
	case c == '.' || c == '\\' || c == '"' || c == ';' || c == '@' || c == '$' || c == '(' || c == ')':
		return append(dst, '\\', c)
	case c <= ' ' || c >= 0x7f:
		return append(dst, '\\', '0'+c/100, '0'+c/10%10, '0'+c%10)
	default:
		return append(dst, c)
	}
}
