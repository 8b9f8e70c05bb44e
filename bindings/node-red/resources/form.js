// Draws the form of an operation from what the library says of it, so that a field which a later library has appears by itself.
// biome-ignore lint/correctness/noUnusedVariables: the page of the node calls it
const ZcrmForm = (() => {
    let description;

    /** What zcrm_step_describe() says. */
    function describe() {
        description ??= $.getJSON('zcrm/description');
        return description;
    }

    const FROM_MESSAGE = [{ value: 'msg', label: 'msg.', hasValue: true }, 'flow', 'global', 'jsonata'];

    /** The schema of a value that is there: one that may be null has it inside. */
    function present(schema) {
        const some = (schema.anyOf ?? []).filter((one) => one.type !== 'null');
        return some.length === 1 && schema.anyOf.length === 2 ? { ...some[0], description: some[0].description ?? schema.description } : schema;
    }

    const kinds = (schema) => [schema.type ?? []].flat().filter((kind) => kind !== 'null');

    /** The ways to fill in a field. */
    function inputs(schema, required) {
        const [kind] = kinds(schema);
        const choices = schema.enum?.filter((value) => value !== null) ?? (kind === 'boolean' ? ['true', 'false'] : undefined);
        if (choices) {
            const none = required ? [] : [{ value: '', label: 'not given' }];
            const options = [...none, ...choices.map((value) => ({ value: String(value), label: String(value) }))];
            return [{ value: kind === 'boolean' ? 'bool' : 'choice', label: '', icon: 'fa fa-list', options }, ...FROM_MESSAGE];
        }
        if (kind === 'integer' || kind === 'number') return ['num', ...FROM_MESSAGE, 'env'];
        // The message first, as empty JSON is shown as an error.
        if (kind === 'array' || kind === 'object') return [...FROM_MESSAGE, 'json'];
        return ['str', ...FROM_MESSAGE, 'env'];
    }

    const name = (input) => (typeof input === 'string' ? input : input.value);

    /** What a variant of a source or sink is chosen by: the field that it needs and no other has. */
    const keyOf = (variant) => variant.required[0];

    /** One line of the form. */
    function field(form, key, schema, required, fields) {
        const types = inputs(schema, required);
        const row = $('<div class="form-row zcrm-row">').attr('data-key', key).appendTo(form);
        const label = $('<label>')
            .text(schema.title ?? key)
            .attr('title', schema.description ?? '')
            .appendTo(row);
        if (required) label.append('<span style="color: var(--red-ui-text-color-error, #d00)"> *</span>');
        const input = $('<input type="text">')
            .attr('title', schema.description ?? '')
            .appendTo(row);
        const { t = name(types[0]), v = '' } = fields[key] ?? {};
        input
            .typedInput({ types, default: name(types[0]) })
            .typedInput('type', t)
            .typedInput('value', v)
            .typedInput('width', '70%');
    }

    /** The fields of an object; those of a source or a sink depend on which kind of it is chosen. */
    function object(form, schema, prefix, values, without = []) {
        for (const [name, inner] of Object.entries(schema.properties)) {
            if (without.includes(name)) continue;
            const key = prefix + name;
            const of = present(inner);
            const required = schema.required?.includes(name) ?? false;
            if (of.oneOf && of.properties) variants(form, key, of, required, values);
            else field(form, key, of, required, values.fields);
        }
    }

    function variants(form, key, schema, required, values) {
        const options = schema.oneOf.map((variant) => ({ value: keyOf(variant), label: variant.title, variant }));
        const file = options.find((option) => option.value === 'path');
        if (file) {
            const label = key === 'sink' ? 'msg.payload, a Buffer' : 'msg.payload: a Buffer, a stream or a path';
            options.unshift({ value: 'message', label, variant: file.variant });
        }
        if (!required) options.unshift({ value: '', label: 'not given' });
        const row = $('<div class="form-row zcrm-row">').attr('data-choice', key).appendTo(form);
        $('<label>')
            .text(schema.title ?? key[0].toUpperCase() + key.slice(1))
            .attr('title', schema.description ?? '')
            .appendTo(row);
        const select = $('<select style="width: 70%">').appendTo(row);
        for (const { value, label } of options) $('<option>').val(value).text(label).appendTo(select);
        const inside = $('<div>').appendTo(form);
        const draw = () => {
            inside.empty();
            const { value, variant } = options.find((option) => option.value === select.val());
            if (!variant) return;
            const others = Object.entries(variant.properties).filter(([, of]) => of.type === 'null');
            const left = [...others.map(([name]) => name), ...(value === 'message' ? ['path'] : [])];
            const needs = { ...schema, required: value === 'message' ? [] : variant.required };
            object(inside, needs, `${key}.`, values, left);
        };
        const first = required || key === 'source' ? (file ? 'message' : options[0].value) : '';
        select.val(values.choices[key] ?? first);
        if (select.val() === null) select.val(options[0].value);
        select.on('change', draw);
        draw();
    }

    /** Draws the form of an operation. `values` are its fields and choices. */
    function draw(form, operation, values) {
        form.empty();
        $('<p style="margin-bottom: 12px">').text(operation.help).appendTo(form);
        object(form, operation.input, '', values, ['operation']);
    }

    /** What is filled in. */
    function read(form) {
        const values = { fields: {}, choices: {} };
        form.find('[data-key]').each(function () {
            const input = $(this).find('input').first();
            const [t, v] = [input.typedInput('type'), input.typedInput('value')];
            if (v !== '' && v !== undefined && v !== null) values.fields[$(this).attr('data-key')] = { t, v: String(v) };
        });
        form.find('[data-choice]').each(function () {
            values.choices[$(this).attr('data-choice')] = $(this).find('select').val();
        });
        return values;
    }

    return { describe, draw, read };
})();
