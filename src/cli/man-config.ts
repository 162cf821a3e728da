import { GROUPS, type GroupName } from './options/spec.js';
import { OPTIONS, type Option } from './options.js';
import { ManPage } from './roff.js';

/** A sample that works once the names are one's own. */
const SAMPLE = [
  '# both sides',
  'app-id=ssh',
  'app-repo=/etc/awl/repo',
  'host-info=me@example.org/nas',
  'stun-server=stun.example.org',
  'email-smtps=smtp.example.org',
  'email-imaps=imap.example.org',
  'email-login=me',
  'email-password-file=/etc/awl/mail-password',
  'exec-command=/usr/local/bin/serve',
  'exec-args=%innerip% %innerport% %peerip% %peerport%',
  '# this side',
  'accept=true',
];

function inConfig(option: Option): boolean {
  return !option.commandLineOnly && !option.hidden && option.name !== 'config';
}

/** awl.ini(5). */
export function configPage(): string {
  const page = new ManPage('awl.ini', 5, 'options of awl in a file');
  page.section('Description');
  page.paragraph(
    'The file that --config names holds one option a line, as plexus has it: the long name without dashes, "=", ' +
      'the value. Blanks around name and value do not count. A switch is true or false. A value is not quoted. ' +
      'From # on, a line is a comment; \\# is the character itself.',
  );
  page.paragraph(
    'Names are written in full; older names of plexus are taken as well. A name that does not exist is an error, ' +
      'with the number of the line. So is a [section]: as in plexus it goes before the names below it, and no ' +
      'option is called like that. An option that may be repeated may stand on several lines.',
  );
  page.paragraph(
    'The command line and the environment win over the file. One file may serve several commands: each takes what ' +
      'it knows. The file is at most 256 KiB of UTF-8 text; a mark at its begin and lines that end in CR LF do ' +
      'no harm. If it holds a password, only its owner should be able to read it.',
  );
  page.section('Names');
  for (const group of Object.keys(GROUPS) as GroupName[]) {
    const options = OPTIONS.filter((option) => option.group === group && inConfig(option));
    if (options.length === 0) continue;
    page.entry(GROUPS[group], `${options.map(({ name }) => name).join(', ')}.`);
  }
  page.section('Examples').verbatim(SAMPLE);
  return page.section('See also').paragraph('awl(1)').toString();
}
