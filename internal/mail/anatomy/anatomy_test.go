package anatomy_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"facteur/internal/mail/anatomy"
)

func dissect(t *testing.T, letter string, trusted ...string) *anatomy.Letter {
	t.Helper()
	l, err := anatomy.Dissect(strings.NewReader(letter), int64(len(letter)), anatomy.Options{Trusted: trusted})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// A bounce of spam that a Sieve script had sent on, as one finds it in a queue: the
// notice, why it came, and the letter inside.
func TestBounceOfRedirectedSpam(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("testdata/bounce.eml")
	if err != nil {
		t.Fatal(err)
	}
	l := dissect(t, string(text), "mail.example.org")
	n := l.Notice
	if n == nil || n.Reporter != "mail.example.org" || len(n.Recipients) != 1 || n.Inner == nil {
		t.Fatalf("the notice: %+v", n)
	}
	r := n.Recipients[0]
	if r.Address != "client@gmail.com" || r.Action != "failed" || r.Status != "5.7.0" || r.Remote != "gmail-smtp-in.l.google.com" || r.Cause == "" || r.Cure == "" {
		t.Errorf("why it came: %+v", r)
	}
	if why := strings.Join(n.Why, " "); why != "mail.example.org had the letter from 217.165.0.7. A Sieve script of contact@client.example sent it on. "+
		"gmail-smtp-in.l.google.com did not take it for client@gmail.com, so mail.example.org had to tell whoever the envelope named as its sender. "+
		"Nothing in the letter proves that spammer@spam.example wrote it: if that is forged, the notice reaches somebody who has nothing to do with it." {
		t.Errorf("why: %s", why)
	}
	in := n.Inner
	want := []struct {
		by     string
		belief anatomy.Belief
		delay  time.Duration
	}{
		{"AMAZONA-F00CA66", anatomy.Unproven, 0},
		{"mail.example.org", anatomy.Ours, 2 * time.Second},
		{"localhost", anatomy.Ours, 0},
		{"mail.example.org", anatomy.Ours, 7 * time.Second},
		{"mail.example.org", anatomy.Ours, 0},
		{"localhost", anatomy.Ours, 0},
		{"mail.example.org", anatomy.Ours, 6 * time.Second},
	}
	if len(in.Hops) != len(want) {
		t.Fatalf("%d hops", len(in.Hops))
	}
	for i, w := range want {
		if h := in.Hops[i]; h.By != w.by || h.Belief != w.belief || h.Delay != w.delay {
			t.Errorf("hop %d: by %s, %s, after %v; want %+v", i+1, h.By, h.Belief, h.Delay, w)
		}
	}
	if h := in.Handover(); h == nil || h.IP.String() != "217.165.0.7" || h.Name != "bba148580.spam.example" {
		t.Errorf("handed over by %+v", h)
	}
	if !marked(in, "X-Sieve-Redirected-From", "contact@client.example") || !marked(in, "X-Mailer", "PHPMailer [version 1.73]") {
		t.Errorf("marks: %+v", in.Marks)
	}
	zip := in.Parts[len(in.Parts)-1]
	if zip.Kind != "ZIP" || zip.Name != "B1095_scan-invoice_0B0C3F.zip" || len(zip.Entries) != 1 || zip.Entries[0].Name != "1940c09.js" || !zip.Entries[0].Runs {
		t.Errorf("the attachment: %+v", zip)
	}
	if !warned(in, `"1940c09.js", which would be run`) {
		t.Errorf("warnings: %q", in.Warnings)
	}
}

func marked(l *anatomy.Letter, field, value string) bool {
	for _, m := range l.Marks {
		if m.Field == field && m.Value == value {
			return true
		}
	}
	return false
}

func warned(l *anatomy.Letter, text string) bool {
	return strings.Contains(strings.Join(l.Warnings, "\n"), text)
}

// How servers write Received lines.
func TestParseReceived(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ line, want string }{
		{"from mail.example.com (host.example.com [192.0.2.1]) by mx.example.org (Postfix) with ESMTPS id 4F00 for <a@example.org>; Thu, 28 Apr 2016 14:51:44 +0200 (CEST)",
			"mail.example.com|host.example.com|192.0.2.1|mx.example.org|ESMTPS|4F00|a@example.org|12:51:44"},
		{"from x (unknown [IPv6:2001:db8::1]) (using TLSv1.3 with cipher X (256/256 bits)) (No client certificate requested) by mx.example.org (Postfix) with ESMTPS id 5; Thu, 28 Apr 2016 14:51:44 +0000",
			"x||2001:db8::1|mx.example.org|ESMTPS|5||14:51:44"},
		{"by mx.example.org (Postfix, from userid 5000) id BE51181C31; Thu, 28 Apr 2016 14:51:51 +0200 (CEST)", "|||mx.example.org||BE51181C31||12:51:51"},
		{"from [192.0.2.9] (helo=pc) by mx.example.org with esmtpsa (TLS1.3) (Exim 4.96) (envelope-from <a@b.example>) id 1abc-0; Thu, 28 Apr 2016 14:51:51 +0000", "pc||192.0.2.9|mx.example.org|esmtpsa|1abc-0||14:51:51"},
		{"from out.example.net ([192.0.2.7]:34567 helo=out) by mx.example.org with esmtp (Exim) id 1; Thu, 28 Apr 2016 14:51:51 +0000", "out|out.example.net|192.0.2.7|mx.example.org|esmtp|1||14:51:51"},
		{"from AM0.outlook.com (2603:10a6::1) by AM1.outlook.com (2603:10a6::2) with Microsoft SMTP Server (version=TLS1_2, cipher=X) id 15.20.1; Thu, 28 Apr 2016 14:51:51 +0000",
			"AM0.outlook.com||2603:10a6::1|AM1.outlook.com|Microsoft SMTP Server|15.20.1||14:51:51"},
		{"from unknown (HELO pc.example) (192.0.2.5) by host.example with SMTP; 28 Apr 2016 14:51:51 -0000", "pc.example|unknown|192.0.2.5|host.example|SMTP|||14:51:51"},
		{"(qmail 1234 invoked by uid 0); 28 Apr 2016 14:51:51 -0000", "|||||||14:51:51"},
		{"from mail.x.example (mail.x.example. [192.0.2.4]) by mx.google.com with ESMTPS id a.1 for <a@gmail.com> (version=TLS1_3); Thu, 28 Apr 2016 07:51:51 -0700 (PDT)",
			"mail.x.example|mail.x.example|192.0.2.4|mx.google.com|ESMTPS|a.1|a@gmail.com|14:51:51"},
		{"from www.spam.example ([127.0.0.1]) by AMAZONA-F00CA66 with Microsoft SMTPSVC(7.5.7601.17514); Thu, 28 Apr 2016 16:51:42 +0400", "www.spam.example||127.0.0.1|AMAZONA-F00CA66|Microsoft SMTPSVC|||12:51:42"},
		{"", "|||||||-"}, {";;;((", "|||||||-"}, {"from from by by", "|||||||-"},
	} {
		h := anatomy.ParseReceived(c.line)
		ip, at := "", "-"
		if h.IP.IsValid() {
			ip = h.IP.String()
		}
		if !h.Time.IsZero() {
			at = h.Time.UTC().Format("15:04:05")
		}
		if got := strings.Join([]string{h.Helo, h.Name, ip, h.By, h.With, h.ID, h.For, at}, "|"); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.line, got, c.want)
		}
	}
}

const way = "Received: from mx.list.example (mx.list.example [192.0.2.20]) by mail.example.org with ESMTPS id 1; Thu, 28 Apr 2016 12:00:30 +0000\r\n" +
	"Authentication-Results: mail.example.org; dmarc=fail header.from=bank.example\r\n" +
	"Received: from localhost (localhost [127.0.0.1]) by mx.list.example with ESMTP id 2; Thu, 28 Apr 2016 12:00:20 +0000\r\n" +
	"Received: from out.bank.example (out.bank.example [192.0.2.30]) by mx.list.example with ESMTP id 3; Thu, 28 Apr 2016 12:00:25 +0000\r\n" +
	"Received: from pc (pc [10.0.0.1]) by inside.bank.example with ESMTP id 4; Thu, 28 Apr 2016 11:00:00 +0000\r\n" +
	"Authentication-Results: mail.example.org; dkim=pass header.d=bank.example\r\n" +
	"Received: from x (x [10.0.0.2]) by elsewhere.example with ESMTP id 5; Thu, 28 Apr 2016 10:00:00 +0000\r\n" +
	"Received: from y (y [10.0.0.3]) by mail.example.org with ESMTP id 6; Thu, 28 Apr 2016 09:00:00 +0000\r\n"

// What of the way can be believed.
func TestPath(t *testing.T) {
	t.Parallel()
	l := dissect(t, way+"From: a@bank.example\r\n\r\n", "MAIL.example.org.")
	var got []string
	for _, h := range l.Hops {
		got = append(got, fmt.Sprintf("%s %s", h.ID, h.Belief))
	}
	if want := "6 unproven, 5 unproven, 4 consistent, 3 consistent, 2 consistent, 1 ours"; strings.Join(got, ", ") != want {
		t.Errorf("got %v, want %s", got, want)
	}
	if !strings.Contains(l.Hops[0].Why, "anybody could have written it") {
		t.Errorf("a line in our name from outside: %s", l.Hops[0].Why)
	}
	if l.Hops[4].Delay != -5*time.Second || !warned(l, "a clock is wrong") || !warned(l, "it took 1h0m25s to hop 4") {
		t.Errorf("delays: %v, %q", l.Hops[4].Delay, l.Warnings)
	}
	if h := l.Handover(); h == nil || h.IP.String() != "192.0.2.20" {
		t.Errorf("handed over by %+v", h)
	}
	if len(l.Claims) != 2 || l.Claims[0].Belief != anatomy.Ours || l.Claims[1].Belief != anatomy.Unproven {
		t.Errorf("claims: %+v", l.Claims)
	}
	if l := dissect(t, way+"\r\n"); l.Hops[5].Belief != anatomy.Ours {
		t.Error("without a trusted host, the topmost is whom one has the letter from")
	}
	if l := dissect(t, way+"\r\n", "nobody.example"); l.Hops[5].Belief != anatomy.Unproven || l.Handover() != nil {
		t.Error("a trusted host that did not write the topmost line proves nothing")
	}
}

// Microsoft's fields (row 229), and others.
func TestMarks(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ field, value, meaning string }{
		{"X-MS-Exchange-Organization-SCL", "1", "Microsoft takes it for no spam"},
		{"X-MS-Exchange-Organization-SCL", "5", "Microsoft takes it for spam, and puts it into Junk"},
		{"X-MS-Exchange-Organization-SCL", "9", "Microsoft is sure that it is spam"},
		{"X-MS-Exchange-Organization-SCL", "-1", "Microsoft did not filter it: the sender was taken for safe, or is an own user"},
		{"X-MS-Exchange-Organization-PCL", "8", "Microsoft takes it for phishing"},
		{"X-Forefront-Antispam-Report", "CIP:192.0.2.1;CTRY:FR;LANG:fr;SCL:9;SRV:;IPV:NLI;SFV:SPM;H:mail;PTR:mail.example.org;CAT:HSPM;SFS:(1)(2);DIR:INB;",
			"came from 192.0.2.1; which is in FR; SCL:9: Microsoft is sure that it is spam; IPV:NLI: the address is on no list of good or bad ones; SFV:SPM: taken for spam because of what it says; and is called mail.example.org; CAT:HSPM: spam, with high confidence"},
		{"X-Microsoft-Antispam", "BCL:0;ARA:123|456;", "BCL:0: Microsoft knows the sender for no bulk mail"},
		{"X-Microsoft-Antispam", "BCL:9;", "BCL:9: bulk mail with many complaints"},
		{"X-Spam-Status", "Yes, score=7.1 required=5.0 tests=BAYES_99,SPF_FAIL autolearn=no", "SpamAssassin gave 7.1 points; from 5.0 on it is spam, so it was"},
		{"X-Spam-Status", "No, score=-0.1 required=5.0", "SpamAssassin gave -0.1 points; from 5.0 on it would be spam"},
		{"X-Spamd-Result", "default: False [3.20 / 15.00]; ARC_NA(0.00)[]", "Rspamd gave 3.20 points; it refuses from 15.00 on"},
		{"Received-SPF", "Softfail (mailfrom) identity=mailfrom; client-ip=192.0.2.1", "the owner of the envelope's domain thinks that this host does not send for it"},
		{"Received-SPF", "TempError (protection.outlook.com: error in processing during lookup of example.com : DNS Timeout)", "the DNS did not answer; some filters hold this against the letter"},
		{"X-Spam-Flag", "NO", ""},
	} {
		l := dissect(t, c.field+": "+c.value+"\r\n\r\n")
		if len(l.Marks) != 1 || l.Marks[0].Meaning != c.meaning || l.Marks[0].Value != c.value {
			t.Errorf("row 229 %s: %s: %+v", c.field, c.value, l.Marks)
		}
	}
}

func TestLinks(t *testing.T) {
	t.Parallel()
	l := dissect(t, "Content-Type: text/html; charset=utf-8\r\n\r\n"+
		`<a href="https://evil.example/login">https://example.com/</a> <a href="https://www.example.com/x">example.com</a>`+
		`<a href="https://evil.example/click?x">Click here</a> <a href='http://192.0.2.1/'>x</a> <A HREF=javascript:alert(1)>y</A>`+
		`<a href="https://example.com@evil.example/">z</a> <a href="https://xn--bnk-qla.example/">q</a> <a href="mailto:a@b.example">a@b.example</a> <a href="#top">top</a>`+
		`<form action="https://evil.example/steal"></form> <a href="https://evil.example/click?x">Click here</a>`)
	want := []struct{ host, doubt string }{
		{"evil.example", "the text shows example.com, the link leads to evil.example"}, {"www.example.com", ""}, {"evil.example", ""},
		{"192.0.2.1", "leads to a bare address"}, {"", "runs code"}, {"evil.example", `has a name before "@", which looks like the host and is not`},
		{"xn--bnk-qla.example", "leads to a host with letters beyond ASCII"}, {"", ""}, {"evil.example", ""},
	}
	if len(l.Links) != len(want) || l.Links[2].Count != 2 {
		t.Fatalf("%+v", l.Links)
	}
	for i, w := range want {
		if k := l.Links[i]; k.Host != w.host || k.Doubt != w.doubt {
			t.Errorf("%+v, want %+v", k, w)
		}
	}
	if !warned(l, "a link deceives") || !warned(l, "a form in the letter") {
		t.Errorf("%q", l.Warnings)
	}
	l = dissect(t, "\r\nSee http://a.example/x, (https://b.example/y). ://\n<HTTPS://C.example>")
	if len(l.Links) != 3 || l.Links[0].URL != "http://a.example/x" || l.Links[1].URL != "https://b.example/y" || l.Links[2].Host != "c.example" {
		t.Errorf("%+v", l.Links)
	}
}

func TestAttachments(t *testing.T) {
	t.Parallel()
	encode := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	for _, c := range []struct{ name, content, kind, shown, warning string }{
		{"invoice.pdf", "%PDF-1.7\n", "PDF", "invoice.pdf", ""},
		{"invoice.pdf", "MZ\x90\x00", "Windows program", "invoice.pdf", "is a program by its first bytes"},
		{"invoice.pdf.exe", "x", "", "invoice.pdf.exe", "looks like a document by its name"},
		{"setup.js", "x", "", "setup.js", "would be run when opened"},
		{"../../etc/passwd", "x", "", "passwd", ""},
		{"page.html", "<html>", "HTML", "page.html", "is a web page"},
		{"a\u202egpj.exe", "x", "", "agpj.exe", "turn the direction of reading"},
	} {
		l := dissect(t, "Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename=\""+c.name+"\"\r\n\r\n"+encode(c.content))
		p := l.Parts[0]
		if p.Kind != c.kind || p.Name != c.shown || !p.Attachment || p.Decoded != int64(len(c.content)) || c.warning == "" != (len(l.Warnings) == 1) || !warned(l, c.warning) {
			t.Errorf("%s: %+v, %q", c.name, p, l.Warnings)
		}
	}
}

// What a terminal or a log would obey never comes out of here.
func TestTextsAreClean(t *testing.T) {
	t.Parallel()
	evil := "=?utf-8?Q?=1B[2J=07=0D=0AX?=\x1b]0;x\x07\x9b"
	letter := "Subject: " + evil + "\r\nFrom: " + evil + " <a@" + evil + ">\r\nReceived: from " + evil + " (" + evil + " [192.0.2.1]) by " + evil + " (" + evil + ") id " + evil + "\r\n" +
		"X-Mailer: " + evil + "\r\nAuthentication-Results: " + evil + "; a=b (" + evil + ") c.d=\"" + evil + "\"\r\n" +
		"Content-Type: text/html; charset=\"" + evil + "\"; name=\"" + evil + "\"\r\n\r\n<a href=\"http://" + evil + "/\">" + evil + "</a>"
	if said := fmt.Sprintf("%+v", *dissect(t, letter)); strings.ContainsAny(said, "\x1b\x07\r\n\u009b") {
		t.Errorf("%q", said)
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	l := dissect(t, strings.Repeat("Received: by x; Thu, 28 Apr 2016 12:00:00 +0000\r\n", 500)+strings.Repeat("X-Spam-Level: *\r\n", 500)+
		"Content-Type: multipart/mixed; boundary=b\r\n\r\n"+strings.Repeat("--b\r\n\r\nhttp://x.example/\r\n", 1000))
	if len(l.Hops) != 100 || len(l.Marks) != 60 || len(l.Parts) != 300 || len(l.Links) != 200 || l.LeftOut == 0 {
		t.Errorf("%d hops, %d marks, %d parts, %d links, %d left out", len(l.Hops), len(l.Marks), len(l.Parts), len(l.Links), l.LeftOut)
	}
	nested := strings.Repeat("Content-Type: multipart/report; boundary=b\r\n\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; x\r\n\r\nFinal-Recipient: rfc822; a@b.example\r\n\r\n--b\r\nContent-Type: message/rfc822\r\n\r\n", 20)
	depth := 0
	for l := dissect(t, nested); l.Notice != nil && l.Notice.Inner != nil; l = l.Notice.Inner {
		depth++
	}
	if depth > 3 {
		t.Errorf("%d notices in each other", depth)
	}
	if bytes.Count([]byte(nested), []byte("--b")) != 40 {
		t.Error("the test is wrong")
	}
}
