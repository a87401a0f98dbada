package report

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"net/netip"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"facteur/internal/mail/message"
)

const (
	// xmlDepth is how deep elements may nest; reports need six.
	xmlDepth = 32
	// tokenMax is how long one token may be, in bytes: a tag with a million attributes
	// takes forty times its length in memory.
	tokenMax = 64 << 10
)

// maxProblems is how many problems are told of one report.
const maxProblems = 20

// ReadAggregate reads an aggregate report of RFC 9990, of RFC 7489, or as those wrote it
// who came before or cared less: with any namespace or none, elements in any order. What
// is missing is empty, and told in Problems where it matters.
func ReadAggregate(data []byte, l Limits) (*Aggregate, error) {
	l = l.withDefaults()
	if int64(len(data)) > l.Bytes {
		return nil, ErrTooLarge
	}
	r := &aggregateReader{most: l.Records}
	if err := r.read(data); err != nil {
		return nil, err
	}
	return r.finish()
}

// tokenReader gives a token no more than tokenMax bytes. The decoder takes them one by one,
// or, of another charset, by blocks.
type tokenReader struct {
	*bytes.Reader
	left int
}

// ReadByte implements io.ByteReader.
func (r *tokenReader) ReadByte() (byte, error) {
	if r.left--; r.left < 0 {
		return 0, ErrTooLarge
	}
	return r.Reader.ReadByte()
}

// Read implements io.Reader.
func (r *tokenReader) Read(p []byte) (int, error) {
	if r.left <= 0 {
		return 0, ErrTooLarge
	}
	n, err := r.Reader.Read(p)
	r.left -= n
	return n, err
}

// newXMLDecoder reads XML leniently. Bytes that are not of the declared UTF-8 become
// replacement characters: such reports exist, and their figures are good.
func newXMLDecoder(data []byte) (*xml.Decoder, *tokenReader) {
	if !utf8.Valid(data) && !declaresCharset(data) {
		data = bytes.ToValidUTF8(data, []byte("\uFFFD"))
	}
	in := &tokenReader{Reader: bytes.NewReader(data)}
	d := xml.NewDecoder(in)
	d.Strict = false
	d.CharsetReader = func(charset string, r io.Reader) (io.Reader, error) {
		if !message.KnowsCharset(charset) {
			return nil, fmt.Errorf("its charset %q is unknown", text(charset, 40))
		}
		return message.ToUTF8(charset, r), nil
	}
	return d, in
}

// declaresCharset tells a document whose first line names a charset other than UTF-8.
func declaresCharset(data []byte) bool {
	line := strings.ToLower(string(data[:min(len(data), 200)]))
	_, line, found := strings.Cut(line, "encoding=")
	return found && !strings.HasPrefix(strings.TrimLeft(line, `"'`), "utf-8")
}

// aggregateReader makes values of elements as they come. RawToken keeps no stack and
// resolves no namespace, so the path is kept here, and nothing else.
type aggregateReader struct {
	report Aggregate
	most   int

	path  []string
	value []byte // of the element that is open

	record    Record
	reason    Reason
	signature Signature
	check     SPFCheck
	rooted    bool
}

func (a *aggregateReader) read(data []byte) error {
	d, in := newXMLDecoder(data)
	for {
		in.left = tokenMax
		token, err := d.RawToken()
		switch {
		case errors.Is(err, io.EOF) && len(a.path) == 0 && a.rooted:
			return nil
		case errors.Is(err, io.EOF):
			return errors.New("it ends too early")
		case errors.Is(err, ErrTooLarge):
			return err
		case err != nil:
			return fmt.Errorf("it is no proper XML: %v", text(err.Error(), 100))
		}
		if err := a.token(token); err != nil {
			return err
		}
	}
}

func (a *aggregateReader) token(token xml.Token) error {
	switch t := token.(type) {
	case xml.Directive:
		if bytes.Contains(bytes.ToUpper(t), []byte("ENTITY")) {
			return ErrEntities
		}
	case xml.StartElement:
		return a.start(strings.ToLower(t.Name.Local))
	case xml.EndElement:
		return a.end(strings.ToLower(t.Name.Local))
	case xml.CharData:
		if room := 2*textMax - len(a.value); room > 0 {
			a.value = append(a.value, t[:min(len(t), room)]...)
		}
	}
	return nil
}

func (a *aggregateReader) start(name string) error {
	switch {
	case len(a.path) == 0 && name != "feedback":
		return fmt.Errorf("its root is <%s> and not <feedback>", text(name, 40))
	case len(a.path) == 0 && a.rooted:
		return errors.New("it has two roots")
	case len(a.path) >= xmlDepth:
		return ErrTooDeep
	}
	a.rooted = true
	a.path, a.value = append(a.path, name), a.value[:0]
	switch name {
	case "record":
		a.record = Record{}
	case "reason":
		a.reason = Reason{}
	case "dkim":
		a.signature = Signature{}
	case "spf":
		a.check = SPFCheck{}
	}
	return nil
}

func (a *aggregateReader) end(name string) error {
	if len(a.path) == 0 || a.path[len(a.path)-1] != name {
		return fmt.Errorf("</%s> closes another element", text(name, 40))
	}
	value := string(a.value)
	a.value, a.path = a.value[:0], a.path[:len(a.path)-1]
	switch parent := a.parent(); {
	case name == "record" && parent == "feedback":
		return a.addRecord()
	case name == "version" && parent == "feedback":
		a.report.Version = text(value, 20)
	case parent == "report_metadata" || parent == "date_range":
		a.metadata(name, value)
	case parent == "policy_published":
		a.published(name, value)
	case a.isIn("record"):
		a.inRecord(parent, name, value)
	}
	return nil
}

func (a *aggregateReader) parent() string {
	if len(a.path) == 0 {
		return ""
	}
	return a.path[len(a.path)-1]
}

func (a *aggregateReader) isIn(name string) bool { return len(a.path) > 1 && a.path[1] == name }

func (a *aggregateReader) addRecord() error {
	if len(a.report.Records) >= a.most {
		return ErrTooMany
	}
	if !a.record.Source.IsValid() {
		a.problem("a record has no source address")
	}
	a.report.Records = append(a.report.Records, a.record)
	return nil
}

func (a *aggregateReader) problem(format string, args ...any) {
	if p := fmt.Sprintf(format, args...); len(a.report.Problems) < maxProblems {
		a.report.Problems = append(a.report.Problems, p)
	}
}

func (a *aggregateReader) metadata(name, value string) {
	m := &a.report.Reporter
	switch name {
	case "org_name":
		m.Org = text(value, textMax)
	case "email":
		m.Email = text(value, textMax)
	case "extra_contact_info":
		m.Contact = text(value, textMax)
	case "report_id":
		m.ID = text(value, textMax)
	case "begin":
		m.Begin = a.time(value)
	case "end":
		m.End = a.time(value)
	case "error":
		if e := text(value, textMax); e != "" && len(m.Errors) < maxProblems {
			m.Errors = append(m.Errors, e)
		}
	case "generator":
		m.Generator = text(value, textMax)
	}
}

func (a *aggregateReader) published(name, value string) {
	p := &a.report.Published
	switch name {
	case "domain":
		p.Domain = domain(value)
	case "discovery_method":
		p.Discovery = word(value)
	case "p":
		p.P = word(value)
	case "sp":
		p.SP = word(value)
	case "np":
		p.NP = word(value)
	case "fo":
		p.FO = word(value)
	case "adkim":
		p.ADKIM = word(value)
	case "aspf":
		p.ASPF = word(value)
	case "testing":
		p.Testing = word(value)
	case "pct":
		p.Pct = word(value)
	}
}

// inRecord takes an element of a record that ends.
func (a *aggregateReader) inRecord(parent, name, value string) {
	switch parent {
	case "row":
		a.row(name, value)
	case "policy_evaluated":
		a.evaluated(name, value)
	case "reason":
		switch name {
		case "type":
			a.reason.Type = word(value)
		case "comment":
			a.reason.Comment = text(value, textMax)
		}
	case "identifiers", "identities": // the second in drafts of 2012
		a.identifier(name, value)
	case "auth_results":
		a.auth(name)
	case "dkim":
		a.dkim(name, value)
	case "spf":
		a.spf(name, value)
	}
}

func (a *aggregateReader) row(name, value string) {
	switch name {
	case "source_ip":
		a.record.Source = source(value)
	case "count":
		a.record.Count = a.count(value)
	}
}

// source is an address; those with a zone are none of the network.
func source(value string) netip.Addr {
	addr, err := netip.ParseAddr(strings.Trim(strings.TrimSpace(value), "[]"))
	if err != nil || addr.Zone() != "" {
		return netip.Addr{}
	}
	return addr.Unmap()
}

func (a *aggregateReader) evaluated(name, value string) {
	switch name {
	case "disposition":
		a.record.Disposition = word(value)
	case "dkim":
		a.record.DKIM = word(value)
	case "spf":
		a.record.SPF = word(value)
	case "reason":
		if len(a.record.Reasons) < maxProblems {
			a.record.Reasons = append(a.record.Reasons, a.reason)
		}
	}
}

func (a *aggregateReader) identifier(name, value string) {
	switch name {
	case "header_from":
		a.record.HeaderFrom = domain(value)
	case "envelope_from":
		a.record.EnvelopeFrom = domain(value)
	case "envelope_to":
		a.record.EnvelopeTo = domain(value)
	}
}

func (a *aggregateReader) auth(name string) {
	switch {
	case name == "dkim" && len(a.record.Signatures) < maxSignatures:
		a.record.Signatures = append(a.record.Signatures, a.signature)
	case name == "spf" && len(a.record.SPFChecks) < maxSignatures:
		a.record.SPFChecks = append(a.record.SPFChecks, a.check)
	}
}

func (a *aggregateReader) dkim(name, value string) {
	switch name {
	case "domain":
		a.signature.Domain = domain(value)
	case "selector":
		a.signature.Selector = text(value, domainMax)
	case "result":
		a.signature.Result = word(value)
	case "human_result":
		a.signature.Human = text(value, textMax)
	}
}

func (a *aggregateReader) spf(name, value string) {
	switch name {
	case "domain":
		a.check.Domain = domain(value)
	case "scope":
		a.check.Scope = word(value)
	case "result":
		a.check.Result = word(value)
	case "human_result":
		a.check.Human = text(value, textMax)
	}
}

// maxCount is the most letters that one record is believed.
const maxCount = 1_000_000_000_000

// count reads a number of letters; a wrong one is 0 and a problem.
func (a *aggregateReader) count(value string) int64 {
	n, err := strconv.ParseInt(strings.TrimSpace(value), 10, 64)
	if err != nil || n < 0 || n > maxCount {
		a.problem("the count %q is no number of letters", text(value, 40))
		return 0
	}
	return n
}

// time reads seconds since 1970, also with a fraction.
func (a *aggregateReader) time(value string) time.Time {
	seconds, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
	if err != nil || math.IsNaN(seconds) || seconds < 0 || seconds > math.MaxInt32*4 {
		a.problem("the time %q is none", text(value, 40))
		return time.Time{}
	}
	return time.Unix(int64(seconds), 0).UTC()
}

// finish looks at the whole.
func (a *aggregateReader) finish() (*Aggregate, error) {
	r := &a.report
	if r.Published.Domain == "" {
		return nil, errors.New("it names no domain")
	}
	if r.Reporter.Org == "" {
		a.problem("it does not say who reports")
	}
	if r.Reporter.ID == "" {
		a.problem("it has no report id")
	}
	if r.Reporter.End.Before(r.Reporter.Begin) {
		a.problem("its period ends before it begins")
	}
	if len(r.Records) == 0 {
		a.problem("it has no records")
	}
	return r, nil
}
