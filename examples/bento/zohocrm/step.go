package zohocrm

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/warpstreamlabs/bento/public/service"
)

// The operations are the library's steps, under its names.
const (
	attachmentUpload   = "attachment.upload"
	attachmentList     = "attachment.list"
	attachmentDownload = "attachment.download"
	photoUpload        = "photo.upload"
	photoDownload      = "photo.download"
	photoDelete        = "photo.delete"
	attachmentDelete   = "attachment.delete"
	anyStep            = "step"
	batch              = "batch" // only as a message's own step
)

var operations = map[string]string{
	attachmentUpload:   "Attach a file or a link. Becomes a JSON document with the attachment's `id`.",
	attachmentList:     "List the attachments of a record. Becomes a JSON document with all of them.",
	attachmentDownload: "Download an attachment. Becomes its bytes, or with `file_path` a JSON document.",
	photoUpload:        "Set the photo of a record. Becomes a JSON document.",
	photoDownload:      "Download the photo of a record. Becomes its bytes, or with `file_path` a JSON document.",
	photoDelete:        "Delete the photo of a record. Becomes a JSON document.",
	attachmentDelete:   "Delete an attachment. Becomes a JSON document.",
	anyStep:            "What the message says: it is the JSON of a step, as `zcrm_step_describe()` describes it, and becomes the step's result. For queues of mixed jobs.",
}

// operationField is an enum with a lint rule of its own: that of the engine takes the dot in a value for a path, and refuses all of them.
func operationField(options map[string]string) *service.ConfigField {
	names := slices.Sorted(maps.Keys(options))
	for i, name := range names {
		names[i] = fmt.Sprintf("this == %q", name)
	}
	rule := fmt.Sprintf("root = match { %s => [], _ => [ \"value %%v is not an operation here: \".format(this) + %q ] }",
		strings.Join(names, " || "), strings.Join(slices.Sorted(maps.Keys(options)), ", "))
	return service.NewStringAnnotatedEnumField("operation", options).LintRule(rule)
}

// maxContent is the most bytes of a file that may be a message's content: the library's limit for base64 in a step.
const maxContent = 8 << 20

// uploadFields are those that both the processor and the output have.
func uploadFields() []*service.ConfigField {
	return []*service.ConfigField{
		service.NewInterpolatedStringField("module").Description("API name of the record's module.").
			Examples("Contacts", `${! json("module") }`).Optional(),
		service.NewInterpolatedStringField("record_id").Description("The record's id.").Example(`${! json("record_id") }`).Optional(),
		service.NewInterpolatedStringField("file_path").
			Description("Of an upload the file to send, of a download the file to write; below one of `allow_paths`. When empty the message's content is the file, of at most 8 MiB.").
			Example(`${! json("path") }`).Optional(),
		service.NewInterpolatedStringField("file_name").
			Description("Name under which an upload is stored. By default the last part of `file_path`; needed when the message's content is the file.").
			Examples("${! @path.filepath_split().index(-1) }").Optional(),
		service.NewInterpolatedStringField("content_type").Description("MIME type of an upload.").Optional().Advanced(),
		service.NewStringAnnotatedEnumField("if_exists", map[string]string{
			"upload":          "Upload without looking.",
			"skip":            "Don't, when the record has one of the same name and size. Costs a list call.",
			"skip_same_bytes": "Don't, when the record has one of the same name, size and bytes. Costs a list call and a download.",
		}).Description("What an upload of an attachment does when the record may have it already.").Default("upload"),
		service.NewInterpolatedStringField("redelivered").
			Description("`true` when the message may have been worked on before, by a worker that died or that failed; else `false`. Then each effect that the step asks for, those of a batch too, is looked for first: a file by its bytes, and what is gone already is deleted.").
			Example(`${! @zcrm_again == "true" || timestamp_unix() >= @zcrm_held_until.number() }`).Default("false"),
		service.NewBoolField("sha256").Description("Whether the result shall have the SHA-256 of the file.").Default(false).Advanced(),
	}
}

// template makes a step of each message.
type template struct {
	operation string
	texts     map[string]*service.InterpolatedString
	ifExists  string
	sha256    bool
	overwrite bool
	maxBytes  int
}

func templateOf(conf *service.ParsedConfig) (*template, error) {
	t := &template{texts: map[string]*service.InterpolatedString{}}
	for _, name := range []string{
		"module", "record_id", "attachment_id", "file_path", "file_name", "content_type", "link_url", "link_title", "redelivered",
	} {
		if !conf.Contains(name) {
			continue
		}
		text, err := conf.FieldInterpolatedString(name)
		if err != nil {
			return nil, err
		}
		t.texts[name] = text
	}
	var errs [5]error
	t.operation, errs[0] = conf.FieldString("operation")
	t.ifExists, errs[1] = conf.FieldString("if_exists")
	t.sha256, errs[2] = conf.FieldBool("sha256")
	if conf.Contains("overwrite") {
		t.overwrite, errs[3] = conf.FieldBool("overwrite")
		t.maxBytes, errs[4] = conf.FieldInt("max_bytes")
	}
	return t, errors.Join(errs[:]...)
}

// step is what one message asks for.
type step struct {
	operation   string // for labels: one of those known, or "unknown"
	input       []byte // the step's JSON
	redelivered bool
	toContent   bool // of a download: its bytes become the message's content
}

type object = map[string]any

func (t *template) step(msg *service.Message) (*step, error) {
	text := map[string]string{}
	for name, field := range t.texts {
		value, err := field.TryString(msg)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		text[name] = value
	}
	redelivered, err := strconv.ParseBool(text["redelivered"])
	if err != nil || len(text["redelivered"]) < 4 {
		return nil, fmt.Errorf("redelivered: is %q; give true or false", text["redelivered"])
	}
	s := &step{operation: t.operation, redelivered: redelivered}
	if t.operation == anyStep {
		return s, s.read(msg)
	}
	input := object{"operation": t.operation, "module": text["module"], "record_id": text["record_id"]}
	switch t.operation {
	case attachmentUpload, photoUpload:
		source, err := source(msg, text)
		if err != nil {
			return nil, err
		}
		input["source"] = source
		if t.operation == attachmentUpload && t.ifExists != "upload" {
			input["if_exists"] = t.ifExists
		}
	case attachmentDownload, photoDownload:
		sink := object{"path": text["file_path"], "overwrite": t.overwrite}
		if s.toContent = text["file_path"] == ""; s.toContent {
			sink = object{"base64": true}
		}
		if t.maxBytes > 0 {
			sink["max_bytes"] = t.maxBytes
		}
		input["sink"] = sink
	}
	switch t.operation {
	case attachmentDownload:
		input["attachment_id"] = text["attachment_id"]
	case attachmentDelete:
		input["attachment_ids"] = []any{text["attachment_id"]}
	}
	if t.sha256 && (text["link_url"] == "" && t.operation == attachmentUpload || t.operation == photoUpload || input["sink"] != nil) {
		input["sha256"] = true
	}
	s.input, err = json.Marshal(input)
	return s, err
}

// source is what an upload sends: a link, a file, or the message's content.
func source(msg *service.Message, text map[string]string) (object, error) {
	source := object{}
	set := func(key, value string) {
		if value != "" {
			source[key] = value
		}
	}
	switch {
	case text["link_url"] != "":
		set("url", text["link_url"])
		set("title", text["link_title"])
		return source, nil
	case text["file_path"] != "":
		set("path", text["file_path"])
	default:
		content, err := msg.AsBytes()
		if err != nil {
			return nil, err
		}
		if len(content) > maxContent {
			return nil, fmt.Errorf("the content has %d bytes; at most %d are taken: let file_path name a file", len(content), maxContent)
		}
		if text["file_name"] == "" {
			return nil, errors.New("file_name: is empty; the content of a message needs one")
		}
		source["base64"] = base64.StdEncoding.EncodeToString(content)
	}
	set("name", text["file_name"])
	set("content_type", text["content_type"])
	return source, nil
}

// read takes the message's content as the step, to the letter: what is wrong with it, the library says.
func (s *step) read(msg *service.Message) (err error) {
	s.operation = "unknown"
	if s.input, err = msg.AsBytes(); err != nil {
		return err
	}
	var head struct {
		Operation string `json:"operation"`
	}
	if json.Unmarshal(s.input, &head) == nil && described().knows(head.Operation) {
		s.operation = head.Operation
	}
	return nil
}

// part is one of the things that a step asks for: a step of a batch, or a link.
type part struct {
	Status      string
	FromJournal bool `json:"from_journal"`
	Error       struct {
		Name        string
		Retryable   bool
		OutcomeOpen bool `json:"outcome_open"`
	}
	Result struct{ Links []part }
}

// unfinishedOf is the failure that a step's result amounts to when parts of the step are left, when nobody knows of one whether it is done, or when one
// failed and may succeed later. A step that failed as a whole has no result.
func unfinishedOf(output []byte) error {
	var done struct {
		Operation string
		Result    struct {
			Left    uint64
			Stopped string
			Items   []part
			Links   []part
		}
	}
	if err := json.Unmarshal(output, &done); err != nil {
		return err
	}
	if done.Operation != batch && done.Operation != attachmentUpload {
		return nil
	}
	u := &unfinished{left: done.Result.Left, stopped: done.Result.Stopped}
	for _, item := range done.Result.Items {
		u.add(item)
		if !item.FromJournal { // what the journal lists as done isn't tried again
			u.add(item.Result.Links...)
		}
	}
	u.add(done.Result.Links...)
	if u.left+u.unknown == 0 {
		return nil
	}
	return u
}
