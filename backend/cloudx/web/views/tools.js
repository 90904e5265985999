// What each scanner can do, in words; the API is the judge of every request.

export const TOOLS = {
  nmap: { words: "nmap", says: "Thorough: services, versions, any host.", types: [
    ["default", "Default: the 1,000 usual ports", "optional"], ["quick", "Quick: the 100 most usual ports", "optional"],
    ["tcp", "TCP ports", "optional"], ["udp", "UDP ports", "optional"], ["full", "Full: all 65,535 TCP ports", "optional"],
    ["intense", "Intense: versions, system, scripts", "optional"], ["vuln", "Vulnerability scripts", "optional"]] },
  masscan: { words: "masscan", says: "Fast: many ports of many addresses.", types: [
    ["tcp_scan", "TCP ports", "required"], ["udp_scan", "UDP ports", "required"], ["ping_scan", "Ping (ICMP)", "none"]] },
  zmap: { words: "zmap", says: "Fastest: one port of a whole network.", types: [
    ["tcp_syn", "One TCP port", "required"], ["icmp_echo", "Ping (ICMP)", "none"]] },
};

export const portRule = (tool, type) => TOOLS[tool].types.find(([name]) => name === type)?.[2] ?? "optional";
