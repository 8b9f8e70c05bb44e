package zohocrm

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
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
			Description("`true` when the message may have been worked on before, by a worker that died or that failed. Then an upload is done with `if_exists: skip` unless that says something else, and a deletion of what is gone already is a success.").
			Example(`${! @nats_num_delivered.number() > 1 }`).Default("false"),
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
	input       object // the step's JSON
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
	s := &step{operation: t.operation, redelivered: text["redelivered"] == "true"}
	if t.operation == anyStep {
		return s, s.read(msg)
	}
	s.input = object{"operation": t.operation, "module": text["module"], "record_id": text["record_id"]}
	switch t.operation {
	case attachmentUpload, photoUpload:
		source, err := source(msg, text)
		if err != nil {
			return nil, err
		}
		s.input["source"] = source
		if t.operation == attachmentUpload && t.ifExists != "upload" {
			s.input["if_exists"] = t.ifExists
		}
	case attachmentDownload, photoDownload:
		sink := object{"path": text["file_path"], "overwrite": t.overwrite}
		if s.toContent = text["file_path"] == ""; s.toContent {
			sink = object{"base64": true}
		}
		if t.maxBytes > 0 {
			sink["max_bytes"] = t.maxBytes
		}
		s.input["sink"] = sink
	}
	switch t.operation {
	case attachmentDownload:
		s.input["attachment_id"] = text["attachment_id"]
	case attachmentDelete:
		s.input["attachment_ids"] = []any{text["attachment_id"]}
	}
	if t.sha256 && (text["link_url"] == "" && t.operation == attachmentUpload || t.operation == photoUpload || s.input["sink"] != nil) {
		s.input["sha256"] = true
	}
	return s, nil
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

// read takes the message's content as the step. The library checks it; here it need only be an object.
func (s *step) read(msg *service.Message) error {
	s.operation = "unknown"
	content, err := msg.AsBytes()
	if err != nil {
		return err
	}
	raw := map[string]json.RawMessage{} // values stay as they were written: an id that is a number must be refused, not rounded
	if err := json.Unmarshal(content, &raw); err != nil {
		return fmt.Errorf("the content is not the JSON object of a step: %w", err)
	}
	s.input = make(object, len(raw))
	for key, value := range raw {
		if string(value) != "null" { // which counts as not given
			s.input[key] = value
		}
	}
	var operation string
	if json.Unmarshal(raw["operation"], &operation) == nil && operations[operation] != "" && operation != anyStep {
		s.operation = operation
	}
	return nil
}

// inputs are the JSON documents to run for this step: one, but for several attachments to be deleted when an earlier delivery may have
// deleted some of them.
func (s *step) inputs() ([][]byte, error) {
	if s.redelivered && s.operation == attachmentUpload && s.input["if_exists"] == nil {
		s.input["if_exists"] = "skip"
	}
	all := []object{s.input}
	var ids []json.RawMessage
	if raw, several := s.input["attachment_ids"].(json.RawMessage); several && s.redelivered && json.Unmarshal(raw, &ids) == nil && len(ids) > 1 {
		all = nil
		for _, id := range ids {
			one := object{}
			for key, value := range s.input {
				one[key] = value
			}
			one["attachment_ids"] = []json.RawMessage{id}
			all = append(all, one)
		}
	}
	inputs := make([][]byte, len(all))
	for i, input := range all {
		encoded, err := json.Marshal(input)
		if err != nil {
			return nil, err
		}
		inputs[i] = encoded
	}
	return inputs, nil
}

func (s *step) deletes() bool {
	return slices.Contains([]string{attachmentDelete, photoDelete}, s.operation)
}
