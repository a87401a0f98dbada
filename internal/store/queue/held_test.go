package queue

import (
	"testing"
	"time"
)

func TestHeldIsReleasedByAPerson(t *testing.T) {
	dir := t.TempDir()
	q := openTest(t, dir)
	d := draft(q, 10, "a", "b")
	for i := range d.Item.Recipients {
		d.Item.Recipients[i].State, d.Item.Recipients[i].LastReply = Held, "odd words"
	}
	it := commit(t, q, d)
	now := time.Now().Add(time.Hour)
	if items := claim(t, q, now); len(items) != 0 {
		t.Errorf("held, and claimed: %+v", items)
	}
	q.Close()
	q = openTest(t, dir) // it survives
	shown, _, err := q.Show(ctx, it.ID)
	if err != nil || shown.Recipients[0].State != Held || shown.Recipients[0].LastReply != "odd words" {
		t.Errorf("%+v %v", shown, err)
	}
	if n, err := q.Unhold(ctx, Filter{IDs: []ID{it.ID}}); n != (Count{Items: 1, Recipients: 2, Bytes: 10}) || err != nil {
		t.Errorf("%+v %v", n, err)
	}
	if n, err := q.Unhold(ctx, Filter{IDs: []ID{it.ID}}); n != (Count{}) || err != nil {
		t.Errorf("a second time: %+v %v", n, err)
	}
	if items := claim(t, q, now); len(items) != 1 || len(items[0].Recipients) != 2 {
		t.Errorf("released, and not claimed: %+v", items)
	}
}
