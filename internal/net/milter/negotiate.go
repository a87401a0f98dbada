package milter

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// Versions of the protocol that are spoken.
const (
	oldest = 2
	newest = 6
)

// Actions that a milter may want to take (SMFIF_*).
const (
	actAddHeaders = 1 << iota
	actChangeBody
	actAddRcpt
	actDelRcpt
	actChangeHeaders
	actQuarantine
	actChangeFrom
	actAddRcptPar
	actSetSymList

	allActions = 1<<iota - 1
)

// Steps that a milter does not want, or does not answer, and other wishes (SMFIP_*).
const (
	noConnect = 1 << iota
	noHelo
	noMail
	noRcpt
	noBody
	noHeaders
	noEOH
	nrHeader
	noUnknown
	noData
	skipBody
	rejectedRcpts // not offered: recipients that we refuse are not told of
	nrConnect
	nrHelo
	nrMail
	nrRcpt
	nrData
	nrUnknown
	nrEOH
	nrBody
	leadingSpace

	allSteps = (1<<iota - 1) &^ rejectedRcpts
)

// options are what both sides agreed on.
type options struct {
	version, actions, steps uint32
	// macros are the names that the milter asked for, by stage; nil: the usual ones.
	macros [stages][]string
}

// offer is the data of our OPTNEG.
func offer() []byte {
	b := binary.BigEndian.AppendUint32(nil, newest)
	b = binary.BigEndian.AppendUint32(b, allActions)
	return binary.BigEndian.AppendUint32(b, allSteps)
}

// parseOptions reads the milter's answer to the offer.
func parseOptions(data []byte) (o options, err error) {
	if len(data) < 12 {
		return o, errMalformed
	}
	o.version = binary.BigEndian.Uint32(data)
	o.actions = binary.BigEndian.Uint32(data[4:])
	o.steps = binary.BigEndian.Uint32(data[8:])
	if o.version < oldest || o.version > newest {
		return o, fmt.Errorf("it speaks version %d of the protocol; expected %d to %d", o.version, oldest, newest)
	}
	if extra := o.steps &^ allSteps; extra != 0 {
		// Unlike an action, which is refused when it is tried, a step decides what
		// comes next on the wire.
		return o, fmt.Errorf("it wants protocol options that were not offered: %#x", extra)
	}
	// The steps that older versions do not know.
	if o.version < 3 {
		o.steps |= noUnknown
	}
	if o.version < 4 {
		o.steps |= noData
	}
	return o, o.parseMacros(data[12:])
}

// parseMacros reads the lists of macros: a stage and names, any number of times.
func (o *options) parseMacros(data []byte) error {
	for len(data) > 0 {
		if len(data) < 5 {
			return errMalformed
		}
		at := binary.BigEndian.Uint32(data)
		end := strings.IndexByte(string(data[4:]), 0)
		if end < 0 || at >= stages {
			return errMalformed
		}
		// Not nil, so that an empty list is one.
		o.macros[at] = append([]string{}, strings.FieldsFunc(string(data[4:4+end]), separator)...)
		data = data[4+end+1:]
	}
	return nil
}

func separator(r rune) bool { return r == ' ' || r == ',' || r == '\t' }

func (o *options) has(step uint32) bool { return o.steps&step != 0 }
