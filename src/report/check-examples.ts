/** Complete configurations for monitors; each part stands below a line with the file it goes to. */
import checkmk from './check-examples/checkmk.txt';
import icinga from './check-examples/icinga.txt';
import nagios from './check-examples/nagios.txt';
import prometheus from './check-examples/prometheus.txt';
import systemd from './check-examples/systemd.txt';
import zabbix from './check-examples/zabbix.txt';

const EXAMPLES = { systemd, nagios, icinga, zabbix, prometheus, checkmk };

export function exampleOf(monitor: keyof typeof EXAMPLES): string {
  return EXAMPLES[monitor];
}
