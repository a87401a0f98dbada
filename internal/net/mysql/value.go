package mysql

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// The types of columns, by their names in the protocol.
const (
	typeTiny      = 0x01
	typeShort     = 0x02
	typeLong      = 0x03
	typeFloat     = 0x04
	typeDouble    = 0x05
	typeNull      = 0x06
	typeTimestamp = 0x07
	typeLongLong  = 0x08
	typeInt24     = 0x09
	typeDate      = 0x0a
	typeTime      = 0x0b
	typeDateTime  = 0x0c
	typeYear      = 0x0d
	typeVarString = 0xfd
)

const isUnsigned = 0x20

// column says how the values of a column are written.
type column struct {
	name     string
	kind     byte
	unsigned bool
	decimals byte
}

func parseColumn(b []byte) (c column, err error) {
	r := reader{rest: b}
	for range 4 { // catalog, schema, table twice
		r.counted()
	}
	c.name = string(r.counted())
	r.counted() // its name in the table
	r.length()
	r.take(2 + 4) // character set, length
	c.kind = byte(r.number(1))
	c.unsigned = r.number(2)&isUnsigned != 0
	c.decimals = byte(r.number(1))
	if r.broken {
		return c, wrong("the description of a column is cut off")
	}
	return c, nil
}

// parseRow reads a row in the binary form.
func parseRow(b []byte, columns []column) ([]Value, error) {
	r := reader{rest: b}
	if r.number(1) != isOK {
		return nil, wrong("the byte %#x where a row was due", b[0])
	}
	nulls := r.take((len(columns) + 7 + 2) / 8)
	if r.broken {
		return nil, wrong("a row is cut off")
	}
	row := make([]Value, len(columns))
	for i, c := range columns {
		if bit := i + 2; nulls[bit/8]&(1<<(bit%8)) != 0 || c.kind == typeNull {
			row[i].Null = true
			continue
		}
		row[i].Text = c.read(&r)
	}
	if r.broken || len(r.rest) > 0 {
		return nil, wrong("a row does not fit its columns")
	}
	return row, nil
}

// read gives a value as text.
func (c column) read(r *reader) string {
	switch c.kind {
	case typeTiny:
		return c.whole(r.number(1), 8)
	case typeShort, typeYear:
		return c.whole(r.number(2), 16)
	case typeLong, typeInt24:
		return c.whole(r.number(4), 32)
	case typeLongLong:
		return c.whole(r.number(8), 64)
	case typeFloat:
		return strconv.FormatFloat(float64(math.Float32frombits(uint32(r.number(4)))), 'g', -1, 32)
	case typeDouble:
		return strconv.FormatFloat(math.Float64frombits(r.number(8)), 'g', -1, 64)
	case typeDate, typeDateTime, typeTimestamp:
		return c.date(r)
	case typeTime:
		return c.time(r)
	}
	return string(r.counted())
}

// whole is a whole number of so many bits.
func (c column) whole(n uint64, bits int) string {
	if c.unsigned {
		return strconv.FormatUint(n, 10)
	}
	shift := 64 - bits
	return strconv.FormatInt(int64(n<<shift)>>shift, 10)
}

// date is "2006-01-02", and the time of day where the type has one.
func (c column) date(r *reader) string {
	n := r.number(1)
	d := reader{rest: r.take(int(n))}
	if n != 0 && n != 4 && n != 7 && n != 11 {
		r.broken = true
	}
	if n == 0 {
		d.rest = make([]byte, 11)
	}
	d.rest = append(d.rest[:len(d.rest):len(d.rest)], make([]byte, 11)...)
	out := fmt.Sprintf("%04d-%02d-%02d", d.number(2), d.number(1), d.number(1))
	if c.kind == typeDate {
		return out
	}
	return out + " " + c.clock(&d, d.number(1))
}

// time is "-12:34:56"; there may be more than 99 hours.
func (c column) time(r *reader) string {
	n := r.number(1)
	d := reader{rest: r.take(int(n))}
	if n != 0 && n != 8 && n != 12 {
		r.broken = true
	}
	d.rest = append(d.rest[:len(d.rest):len(d.rest)], make([]byte, 12)...)
	sign := ""
	if d.number(1) == 1 {
		sign = "-"
	}
	days := d.number(4)
	return sign + c.clock(&d, d.number(1)+24*days)
}

// clock is "12:34:56.789", with as many decimals as the column has.
func (c column) clock(d *reader, hours uint64) string {
	out := fmt.Sprintf("%02d:%02d:%02d", hours, d.number(1), d.number(1))
	micro := d.number(4)
	if c.decimals == 0 || c.decimals > 6 {
		return out
	}
	digits := fmt.Sprintf("%06d", micro)
	return out + "." + strings.TrimSpace(digits[:min(int(c.decimals), len(digits))])
}
