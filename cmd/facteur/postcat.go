package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"facteur/internal/app/control"
)

const postcatUsage = "postcat [-b (body text)] [-c config_dir] [-d (decimal record type)] [-e (envelope records)]" +
	" [-h (header text)] [-q (access queue)] [-v] [file(s)...]"

// cat is what postcat shows of a message.
type cat struct {
	envelope, header, body, verbose bool
}

// postcat shows messages of the queue.
func (c *command) postcat(ctx context.Context, args []string) error {
	options, operands, err := getopt(args, "bc:dehmoqrs:v")
	if err != nil {
		return &usageError{err.Error(), postcatUsage}
	}
	var show cat
	inQueue := false
	for _, o := range options {
		switch o.letter {
		case 'b':
			show.body = true
		case 'e':
			show.envelope = true
		case 'h':
			show.header = true
		case 'q':
			inQueue = true
		case 'v':
			show.verbose = true
		case 'c':
			if err := c.useSettings(o.value); err != nil {
				return err
			}
		}
	}
	if !show.body && !show.envelope && !show.header {
		show.body, show.envelope, show.header = true, true, true
	}
	if !inQueue {
		return errors.New("messages here are in no files that it could show; \"postcat -q ID\" shows one of the queue")
	}
	return asTool(c.withOffice(ctx, func(ctx context.Context, o control.Office) error {
		for _, name := range operands {
			if err := c.catItem(ctx, o, name, show); err != nil {
				return err
			}
		}
		return nil
	}))
}

func (c *command) catItem(ctx context.Context, o control.Office, name string, show cat) error {
	ids, wrong := sortIDs([]string{name})
	if len(wrong) > 0 {
		if isName(name) {
			return fmt.Errorf("open queue file %s: No such file or directory", name)
		}
		return fmt.Errorf("bad mail queue ID: %s", name)
	}
	ids, err := completeIDs(ctx, o, ids, c.note("postcat"))
	if err != nil {
		return err
	}
	e, err := o.Entry(ctx, control.ItemID{ID: ids[0]})
	if err != nil {
		return fmt.Errorf("open queue file %s: No such file or directory (%w)", name, err)
	}
	body, err := o.Message(ctx, control.ItemID{ID: ids[0]})
	if err != nil {
		return err
	}
	out := bufio.NewWriter(c.out)
	err = show.write(out, e, body)
	return errors.Join(err, body.Close(), out.Flush())
}

// isName tells what may be the name of a file in Postfix's queue.
func isName(s string) bool {
	return s != "" && strings.Trim(s, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz") == ""
}

// write shows a message in postcat's sections.
func (show cat) write(out *bufio.Writer, e control.Entry, body io.Reader) error {
	if !show.envelope {
		return show.message(out, body)
	}
	file := e.Shelf + "/" + e.ID
	if e.Shelf == "deferred" { // the one that Postfix has in subdirectories
		file = e.Shelf + "/" + e.ID[:1] + "/" + e.ID
	}
	section := func(name string) { fmt.Fprintf(out, "*** %s %s ***\n", name, file) }
	section("ENVELOPE RECORDS")
	show.records(out, e)
	section("MESSAGE CONTENTS")
	err := show.message(out, body)
	section("HEADER EXTRACTED")
	section("MESSAGE FILE END")
	return err
}

const postcatTime = "Mon Jan _2 15:04:05 2006"

// records shows the envelope by the names that Postfix's records have.
func (show cat) records(out io.Writer, e control.Entry) {
	line := func(name, value string) { fmt.Fprintf(out, "%s: %s\n", name, printable(value)) }
	attribute := func(name, value string) {
		if value != "" {
			line("named_attribute", name+"="+value)
		}
	}
	fmt.Fprintf(out, "message_size: %15d %15d %15d %15d %15d %15d\n", e.Size, 0, len(e.Recipients), 0, e.Size, 0)
	line("message_arrival_time", e.Arrived.Local().Format(postcatTime))
	line("create_time", e.Arrived.Local().Format(postcatTime))
	attribute("log_ident", e.ID)
	attribute("envelope_id", e.EnvelopeID)
	line("sender", e.Sender)
	for prefix := range strings.FieldsSeq("log_client client") {
		attribute(prefix+"_name", e.ClientName)
		attribute(prefix+"_address", e.Client)
	}
	attribute("helo_name", e.Helo)
	attribute("protocol_name", e.Protocol)
	attribute("sasl_username", e.Account)
	for _, r := range e.Recipients {
		original := r.Original
		if original == "" {
			original = r.Address
		}
		line("original_recipient", original)
		line("recipient", r.Address)
		attribute("folder", r.Folder)
	}
}

// message copies the parts of a message that are wanted, with the line ends of this
// machine. Its bytes go out as they are otherwise.
func (show cat) message(out *bufio.Writer, body io.Reader) error {
	in := bufio.NewReaderSize(body, 64<<10)
	inHeader, fresh := true, true
	for {
		line, err := in.ReadSlice('\n')
		whole := err == nil
		if fresh && inHeader && !isHeaderLine(line) {
			inHeader = false
		}
		if len(line) > 0 && (inHeader && show.header || !inHeader && show.body) {
			if show.verbose && fresh {
				out.WriteString("regular_text: ")
			}
			out.Write(bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r")))
			if whole || errors.Is(err, io.EOF) {
				out.WriteByte('\n')
			}
		}
		switch fresh = whole; {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil && !errors.Is(err, bufio.ErrBufferFull):
			return err
		}
	}
}

// isHeaderLine tells whether a line is of the header: a field, or the continuation of
// one.
func isHeaderLine(line []byte) bool {
	if len(line) > 0 && (line[0] == ' ' || line[0] == '\t') {
		return true
	}
	name, _, found := bytes.Cut(line, []byte(":"))
	if !found || len(bytes.TrimRight(name, " \t")) == 0 {
		return false
	}
	return bytes.IndexFunc(bytes.TrimRight(name, " \t"), func(r rune) bool { return r <= ' ' || r > '~' }) < 0
}
