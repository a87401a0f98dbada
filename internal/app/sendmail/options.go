package sendmail

import (
	"strings"

	"facteur/internal/mail/smtp"
)

// Mode is what the command is asked to do.
type Mode uint8

// The modes.
const (
	Send       Mode = iota // a letter from the standard input (-bm, and without -b)
	Speak                  // SMTP on the standard input and output (-bs)
	ListQueue              // -bp, mailq
	Aliases                // -bi, -I, newaliases
	Verify                 // -bv: tell where addresses lead
	FlushQueue             // -q, -qI, -qR
)

// Options are a command line.
type Options struct {
	Mode Mode
	// FromHeader (-t): recipients stand in the letter, too.
	FromHeader bool
	// NoDot (-i): a line of one dot is text.
	NoDot bool
	// Sender (-f, -r) is the reverse-path; SenderGiven tells "" from not said.
	Sender      string
	SenderGiven bool
	// FullName (-F) is for a From that is missing.
	FullName string
	// Notify (-N), Ret (-R) and EnvelopeID (-V) are of RFC 3461.
	Notify     smtp.Notify
	Ret        smtp.Ret
	EnvelopeID string
	// EightBit (-B8BITMIME) declares the body; the letter's bytes decide as well.
	EightBit bool
	// Verbose (-v): tell what the server says.
	Verbose bool
	// QueueID (-qI) and QueueSite (-qR) are the only item, or domain, that a flush is
	// for.
	QueueID, QueueSite string
	Recipients         []string
}

// withValue are the options that take a value, attached or as the next argument.
const withValue = "ABCFLNORVXbdefhopr"

// Parse reads a command line without its argv[0]. Options end at the first argument
// that is none, or at "--"; an address that begins with a dash is one only after
// that. The error is an *Error with the status Usage.
func Parse(args []string) (o Options, err error) {
	for len(args) > 0 && len(args[0]) > 1 && args[0][0] == '-' {
		if args[0] == "--" {
			o.Recipients = args[1:]
			return o, nil
		}
		if args, err = o.cluster(args[0][1:], args[1:]); err != nil {
			return o, err
		}
	}
	for _, a := range args {
		if strings.HasPrefix(a, "-") {
			return o, failf(Usage, "%q comes after a recipient; options come first", a)
		}
	}
	o.Recipients = args
	return o, nil
}

// cluster reads the letters of one argument, the last of which may take the rest of
// it, or the next argument, as its value.
func (o *Options) cluster(letters string, next []string) ([]string, error) {
	for letters != "" {
		c := letters[0]
		letters = letters[1:]
		if c == 'q' { // its value is attached, or there is none
			return next, o.queue(letters)
		}
		if strings.IndexByte(withValue, c) < 0 {
			if err := o.flag(c); err != nil {
				return nil, err
			}
			continue
		}
		if letters == "" {
			if len(next) == 0 {
				return nil, failf(Usage, "-%c needs a value after it", c)
			}
			letters, next = next[0], next[1:]
		}
		return next, o.value(c, letters)
	}
	return next, nil
}

// flag takes an option without a value.
func (o *Options) flag(c byte) error {
	switch c {
	case 't':
		o.FromHeader = true
	case 'i':
		o.NoDot = true
	case 'v':
		o.Verbose = true
	case 'I':
		o.Mode = Aliases
	case 'G', 'U', 'm', 'n', 'c', 'x', 's':
		// Of Sendmail: relaying, initial submission, "me too", no aliases, and what
		// has no meaning any more.
	default:
		return failf(Usage, "-%c is no option of sendmail", c)
	}
	return nil
}

// value takes an option with its value.
func (o *Options) value(c byte, v string) error {
	switch c {
	case 'f', 'r':
		o.Sender, o.SenderGiven = v, true
	case 'F':
		o.FullName = v
	case 'b':
		return o.become(v)
	case 'o':
		o.NoDot = o.NoDot || v == "i"
	case 'B':
		return o.body(v)
	case 'N':
		return o.notify(v)
	case 'R':
		return o.ret(v)
	case 'V':
		o.EnvelopeID = v
		if len(v) > 100 { // RFC 3461 §4.4
			return failf(Usage, "-V takes an envelope id of at most 100 characters")
		}
	case 'C', 'X':
		// They name files to read and to write. Who calls from a script with
		// addresses of strangers must not be surprised.
		return failf(Usage, "-%c is not taken: this command reads no settings and writes no log that its caller names", c)
	}
	// A: Ac, Am; L: a syslog label; O, o: settings of Sendmail; d: debugging; e: where
	// errors go; h: a hop count; p: a protocol. None is for the caller to say here.
	return nil
}

func (o *Options) become(mode string) error {
	switch mode {
	case "m":
		o.Mode = Send
	case "s":
		o.Mode = Speak
	case "p":
		o.Mode = ListQueue
	case "i":
		o.Mode = Aliases
	case "d", "D", "l":
		return failf(Usage, "-b%s starts no server here; \"facteur serve\" does", mode)
	case "v":
		o.Mode = Verify
	default:
		return failf(Usage, "-b%s is not known; -bm, -bs, -bp, -bi and -bv are", mode)
	}
	return nil
}

// queue takes -q: once means now, for an item (I) or a site (R) or all that waits;
// with a time it would be a server.
func (o *Options) queue(value string) error {
	switch {
	case strings.HasPrefix(value, "I") && len(value) > 1:
		o.QueueID = value[1:]
	case strings.HasPrefix(value, "R") && len(value) > 1:
		o.QueueSite = value[1:]
	case value != "":
		return failf(Usage, "-q%s is not known here; -q asks for one more attempt for all that waits, and the server retries by itself", value)
	}
	o.Mode = FlushQueue
	return nil
}

func (o *Options) body(v string) error {
	switch strings.ToUpper(v) {
	case "7BIT":
	case "8BITMIME":
		o.EightBit = true
	default:
		return failf(Usage, "-B takes 7BIT or 8BITMIME, found %q", v)
	}
	return nil
}

func (o *Options) notify(v string) error {
	words := map[string]smtp.Notify{"success": smtp.NotifySuccess, "failure": smtp.NotifyFailure,
		"delay": smtp.NotifyDelay, "never": smtp.NotifyNever}
	o.Notify = 0
	for word := range strings.SplitSeq(strings.ToLower(v), ",") {
		n, known := words[strings.TrimSpace(word)]
		if !known {
			return failf(Usage, "-N takes never, or some of success,failure,delay; found %q", v)
		}
		o.Notify |= n
	}
	if o.Notify&smtp.NotifyNever != 0 && o.Notify != smtp.NotifyNever {
		return failf(Usage, "-N never stands alone")
	}
	return nil
}

func (o *Options) ret(v string) error {
	switch strings.ToLower(v) {
	case "full":
		o.Ret = smtp.RetFull
	case "hdrs":
		o.Ret = smtp.RetHeaders
	default:
		return failf(Usage, "-R takes full or hdrs, found %q", v)
	}
	return nil
}
