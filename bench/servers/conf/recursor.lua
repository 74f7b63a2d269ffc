clearTA('.')
{{- if .Validate}}
addTA('.', '{{.AnchorData}}')
{{- end}}
