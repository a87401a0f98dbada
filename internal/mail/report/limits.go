package report

import "errors"

// Limits bound what is spent on one file. Zero means the default, never unlimited.
type Limits struct {
	// Bytes is how much may be unpacked, all together: default 32 MiB.
	Bytes int64
	// Ratio is how many times larger than its packing something may be, beyond the first
	// MiB: default 200. Real reports come to about 30.
	Ratio int64
	// Entries is how many attachments and files in archives are looked at: default 100.
	Entries int
	// Depth is how deep they may nest: default 4.
	Depth int
	// Records is how many records, policies and failures one report may have: default
	// 50,000.
	Records int
}

func (l Limits) withDefaults() Limits {
	if l.Bytes <= 0 {
		l.Bytes = 32 << 20
	}
	if l.Ratio <= 0 {
		l.Ratio = 200
	}
	if l.Entries <= 0 {
		l.Entries = 100
	}
	if l.Depth <= 0 {
		l.Depth = 4
	}
	if l.Records <= 0 {
		l.Records = 50_000
	}
	return l
}

// What can be wrong with a file.
var (
	ErrNoReport = errors.New("there is no report in it")
	ErrTooLarge = errors.New("it unpacks to more than a report may have")
	ErrTooDeep  = errors.New("it is nested too deep")
	ErrTooMany  = errors.New("it has more entries than a report may have")
	ErrEntities = errors.New("it declares entities, as no report does")
)

// freeRatio is what may be unpacked whatever the ratio is, in bytes.
const freeRatio = 1 << 20
