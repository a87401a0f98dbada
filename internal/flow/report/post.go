package report

import (
	"context"
	"fmt"
	"time"

	"facteur/internal/store/report"
)

// postTime is how long a web server may take.
const postTime = 30 * time.Second

// Answers of a web server that are not for good.
const timedOut, tooMany = 408, 429

// post gives a report to a web server (RFC 8460 §5.4).
func (r *round) post(ctx context.Context, s report.Sending, d destination, p paper) (report.Progress, int, error) {
	size := len(p.content)
	if int64(size) > r.settings.MaxSize {
		return report.Progress{Stage: report.LeftOut, Note: fmt.Sprintf("it is too large (%d bytes)", size)}, size, nil
	}
	if r.preview {
		return report.Progress{Stage: report.Sent, Note: "would be posted"}, size, nil
	}
	if err := r.Store.Mark(ctx, s, report.Progress{Stage: report.Begun}); err != nil {
		return report.Progress{}, size, err
	}
	return r.posted(ctx, d.web, p), size, nil
}

func (r *round) posted(ctx context.Context, url string, p paper) report.Progress {
	ctx, cancel := context.WithTimeout(look(ctx), postTime)
	defer cancel()
	status, err := r.Web.Post(ctx, url, p.mediaType(), p.content)
	if err != nil {
		return report.Progress{Stage: report.Later, Note: clean(err.Error())}
	}
	note := fmt.Sprintf("the web server answers %d", status)
	switch {
	case status/100 == 2:
		return report.Progress{Stage: report.Sent, Note: note}
	case status/100 == 5, status == tooMany, status == timedOut:
		return report.Progress{Stage: report.Later, Note: note}
	}
	return report.Progress{Stage: report.LeftOut, Note: note}
}
