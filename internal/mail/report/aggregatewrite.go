package report

import (
	"bytes"
	"encoding/xml"
	"strconv"
)

// Namespace is that of the reports of RFC 9990.
const Namespace = "urn:ietf:params:xml:ns:dmarc-2.0"

// maxSignatures is how many signatures of a record are told (RFC 9990 §2.1, "DKIM
// Signatures in Aggregate Reports").
const maxSignatures = 100

// XML writes a report as RFC 9990 wants it: every element in the order of its tables.
func (a *Aggregate) XML() []byte {
	w := new(xmlWriter)
	w.WriteString(`<?xml version="1.0" encoding="UTF-8"?>` + "\n")
	w.WriteString(`<feedback xmlns="` + Namespace + `">` + "\n")
	w.value("version", "1.0")
	w.inside("report_metadata", func() { a.Reporter.write(w) })
	w.inside("policy_published", func() { a.Published.write(w) })
	for i := range a.Records {
		w.inside("record", func() { a.Records[i].write(w) })
	}
	w.WriteString("</feedback>\n")
	return w.Bytes()
}

func (r *Reporter) write(w *xmlWriter) {
	w.value("org_name", r.Org)
	w.value("email", r.Email)
	w.option("extra_contact_info", r.Contact)
	w.value("report_id", r.ID)
	w.inside("date_range", func() {
		w.value("begin", strconv.FormatInt(r.Begin.Unix(), 10))
		w.value("end", strconv.FormatInt(r.End.Unix(), 10))
	})
	for _, e := range r.Errors {
		w.value("error", e)
	}
	w.option("generator", r.Generator)
}

func (p *Published) write(w *xmlWriter) {
	w.value("domain", p.Domain)
	w.option("discovery_method", p.Discovery)
	w.value("p", p.P)
	w.option("sp", p.SP)
	w.option("np", p.NP)
	w.option("fo", p.FO)
	w.option("adkim", p.ADKIM)
	w.option("aspf", p.ASPF)
	w.option("testing", p.Testing)
}

func (r *Record) write(w *xmlWriter) {
	w.inside("row", func() { r.writeRow(w) })
	w.inside("identifiers", func() {
		w.value("header_from", r.HeaderFrom)
		w.value("envelope_from", r.EnvelopeFrom) // empty for a null reverse-path
		w.option("envelope_to", r.EnvelopeTo)
	})
	w.inside("auth_results", func() {
		for _, s := range r.Signatures[:min(len(r.Signatures), maxSignatures)] {
			w.inside("dkim", func() {
				w.value("domain", s.Domain)
				w.value("selector", s.Selector)
				w.value("result", s.Result)
				w.option("human_result", s.Human)
			})
		}
		for _, s := range r.SPFChecks {
			w.inside("spf", func() {
				w.value("domain", s.Domain)
				w.option("scope", s.Scope)
				w.value("result", s.Result)
				w.option("human_result", s.Human)
			})
		}
	})
}

func (r *Record) writeRow(w *xmlWriter) {
	w.value("source_ip", r.Source.Unmap().String())
	w.value("count", strconv.FormatInt(r.Count, 10))
	w.inside("policy_evaluated", func() {
		w.value("disposition", r.Disposition)
		w.value("dkim", r.DKIM)
		w.value("spf", r.SPF)
		for _, reason := range r.Reasons {
			w.inside("reason", func() {
				w.value("type", reason.Type)
				w.option("comment", reason.Comment)
			})
		}
	})
}

// xmlWriter writes elements. Each value is escaped.
type xmlWriter struct {
	bytes.Buffer
	depth int
}

func (w *xmlWriter) indent() {
	for range w.depth + 1 {
		w.WriteString("  ")
	}
}

func (w *xmlWriter) inside(name string, fn func()) {
	w.indent()
	w.WriteString("<" + name + ">\n")
	w.depth++
	fn()
	w.depth--
	w.indent()
	w.WriteString("</" + name + ">\n")
}

func (w *xmlWriter) value(name, value string) {
	w.indent()
	w.WriteString("<" + name + ">")
	xml.EscapeText(w, []byte(text(value, textMax))) //nolint:errcheck // a Buffer takes it
	w.WriteString("</" + name + ">\n")
}

func (w *xmlWriter) option(name, value string) {
	if value != "" {
		w.value(name, value)
	}
}
