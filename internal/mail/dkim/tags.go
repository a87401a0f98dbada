package dkim

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
)

// maxTags is how many tags a list may have: a signature has a dozen.
const maxTags = 64

// Tag is one "name=value" of a list.
type Tag struct {
	Name  string
	Value string // without white space around it
	// Start and End are where all after the "=" stands in what was parsed, with the
	// white space around it.
	Start, End int
}

// Tags is a tag list (RFC 6376 §3.2) in its order.
type Tags []Tag

// What a tag list can suffer from.
var (
	errNoTag    = errors.New("something in it is no tag")
	errManyTags = fmt.Errorf("it has more than %d tags", maxTags)
)

// ParseTags reads a tag list: the value of a field, or the text of a record. Tags
// that nobody knows are fine; one that comes twice is not (RFC 6376 §3.2).
func ParseTags(list []byte) (Tags, error) {
	var tags Tags
	for at := 0; at < len(list); {
		end := len(list)
		if i := bytes.IndexByte(list[at:], ';'); i >= 0 {
			end = at + i
		}
		if len(bytes.Trim(list[at:end], fws)) > 0 {
			tag, err := parseTag(list, at, end)
			if err != nil {
				return nil, err
			}
			if _, twice := tags.Get(tag.Name); twice {
				return nil, fmt.Errorf("the tag %s= is there twice", tag.Name)
			}
			if tags = append(tags, tag); len(tags) > maxTags {
				return nil, errManyTags
			}
		}
		at = end + 1
	}
	return tags, nil
}

const fws = " \t\r\n"

func parseTag(list []byte, at, end int) (Tag, error) {
	equals := bytes.IndexByte(list[at:end], '=')
	if equals < 0 {
		return Tag{}, errNoTag
	}
	name := bytes.Trim(list[at:at+equals], fws)
	if !isTagName(name) {
		return Tag{}, errNoTag
	}
	start := at + equals + 1
	return Tag{Name: string(name), Value: string(bytes.Trim(list[start:end], fws)), Start: start, End: end}, nil
}

func isTagName(name []byte) bool {
	for i, c := range name {
		letter := 'a' <= lower(c) && lower(c) <= 'z'
		if !letter && (i == 0 || c != '_' && (c < '0' || c > '9')) {
			return false
		}
	}
	return 0 < len(name) && len(name) <= 32
}

// Get is the value of a tag, and whether it is there.
func (t Tags) Get(name string) (string, bool) {
	for _, tag := range t {
		if tag.Name == name {
			return tag.Value, true
		}
	}
	return "", false
}

// Names reads a list of names separated by colons, white space around them allowed,
// in lower case.
func Names(list string) []string {
	var names []string
	for name := range strings.SplitSeq(list, ":") {
		names = append(names, strings.ToLower(strings.Trim(name, fws)))
	}
	return names
}

// solid is a value without any white space, as base64 may be folded anywhere.
func solid(value string) string {
	if !strings.ContainsAny(value, fws) {
		return value
	}
	return strings.Map(func(r rune) rune {
		if r < 0x80 && strings.ContainsRune(fws, r) {
			return -1
		}
		return r
	}, value)
}

// WithoutSignature is a copy of a whole signature field whose tag b= is empty: what
// the signature itself is made of (RFC 6376 §3.7).
func WithoutSignature(raw []byte) []byte {
	colon := bytes.IndexByte(raw, ':') + 1
	tags, err := ParseTags(raw[colon:])
	if err != nil {
		return bytes.Clone(raw)
	}
	for _, t := range tags {
		if t.Name == "b" {
			return append(bytes.Clone(raw[:colon+t.Start]), raw[colon+t.End:]...)
		}
	}
	return bytes.Clone(raw)
}
