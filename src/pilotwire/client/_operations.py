"""Every operation of the API. Made by tools/generate_client.py: do not edit."""

from __future__ import annotations

from pilotwire.api import types

from .request import Operation

LIST_ALARM_MUTES: Operation[types.AlarmMutePage] = Operation(
    "listAlarmMutes", "GET", "/api/v1/alarm-mutes", types.AlarmMutePage
)
MUTE_ALARMS: Operation[types.AlarmMute] = Operation("muteAlarms", "POST", "/api/v1/alarm-mutes", types.AlarmMute)
UNMUTE_ALARMS: Operation[None] = Operation("unmuteAlarms", "DELETE", "/api/v1/alarm-mutes/{mute_id}", None)
LIST_ALARM_RULES: Operation[types.AlarmRulePage] = Operation(
    "listAlarmRules", "GET", "/api/v1/alarm-rules", types.AlarmRulePage
)
CREATE_ALARM_RULE: Operation[types.AlarmRule] = Operation(
    "createAlarmRule", "POST", "/api/v1/alarm-rules", types.AlarmRule
)
GET_ALARM_VOCABULARY: Operation[types.AlarmVocabulary] = Operation(
    "getAlarmVocabulary", "GET", "/api/v1/alarm-rules/vocabulary", types.AlarmVocabulary
)
DELETE_ALARM_RULE: Operation[None] = Operation("deleteAlarmRule", "DELETE", "/api/v1/alarm-rules/{rule_id}", None)
GET_ALARM_RULE: Operation[types.AlarmRule] = Operation(
    "getAlarmRule", "GET", "/api/v1/alarm-rules/{rule_id}", types.AlarmRule
)
CHANGE_ALARM_RULE: Operation[types.AlarmRule] = Operation(
    "changeAlarmRule", "PATCH", "/api/v1/alarm-rules/{rule_id}", types.AlarmRule
)
LIST_ALARMS: Operation[types.AlarmPage] = Operation("listAlarms", "GET", "/api/v1/alarms", types.AlarmPage)
COUNT_ALARMS: Operation[types.AlarmCounts] = Operation("countAlarms", "GET", "/api/v1/alarms/counts", types.AlarmCounts)
GET_ALARM: Operation[types.Alarm] = Operation("getAlarm", "GET", "/api/v1/alarms/{alarm_id}", types.Alarm)
ACKNOWLEDGE_ALARM: Operation[types.Alarm] = Operation(
    "acknowledgeAlarm", "POST", "/api/v1/alarms/{alarm_id}/acknowledge", types.Alarm
)
LIST_API_KEYS: Operation[types.ApiKeyPage] = Operation("listApiKeys", "GET", "/api/v1/api-keys", types.ApiKeyPage)
CREATE_API_KEY: Operation[types.ApiKeyCreated] = Operation(
    "createApiKey", "POST", "/api/v1/api-keys", types.ApiKeyCreated
)
DELETE_API_KEY: Operation[None] = Operation("deleteApiKey", "DELETE", "/api/v1/api-keys/{key_id}", None)
GET_API_KEY: Operation[types.ApiKey] = Operation("getApiKey", "GET", "/api/v1/api-keys/{key_id}", types.ApiKey)
CHANGE_API_KEY: Operation[types.ApiKey] = Operation("changeApiKey", "PATCH", "/api/v1/api-keys/{key_id}", types.ApiKey)
ROTATE_API_KEY: Operation[types.ApiKeyCreated] = Operation(
    "rotateApiKey", "POST", "/api/v1/api-keys/{key_id}/rotate", types.ApiKeyCreated
)
LIST_AUDIT: Operation[types.AuditPage] = Operation("listAudit", "GET", "/api/v1/audit", types.AuditPage)
EXPORT_AUDIT: Operation[None] = Operation("exportAudit", "GET", "/api/v1/audit/export", None)
VERIFY_AUDIT: Operation[types.AuditVerdict] = Operation(
    "verifyAudit", "GET", "/api/v1/audit/verify", types.AuditVerdict
)
GET_AUDIT: Operation[types.AuditEntry] = Operation("getAudit", "GET", "/api/v1/audit/{seq}", types.AuditEntry)
GET_CERTIFICATE_AUTHORITY: Operation[types.CertificateAuthority] = Operation(
    "getCertificateAuthority", "GET", "/api/v1/certificate-authority", types.CertificateAuthority
)
CHANGE_CERTIFICATE_AUTHORITY: Operation[types.CertificateAuthority] = Operation(
    "changeCertificateAuthority", "PATCH", "/api/v1/certificate-authority", types.CertificateAuthority
)
RENEW_CERTIFICATE_AUTHORITY: Operation[types.CertificateAuthority] = Operation(
    "renewCertificateAuthority", "POST", "/api/v1/certificate-authority/renew", types.CertificateAuthority
)
LIST_CERTIFICATE_REQUESTS: Operation[types.CertificateRequestPage] = Operation(
    "listCertificateRequests", "GET", "/api/v1/certificate-requests", types.CertificateRequestPage
)
LIST_CERTIFICATES: Operation[types.ShownCertificatePage] = Operation(
    "listCertificates", "GET", "/api/v1/certificates", types.ShownCertificatePage
)
GET_CERTIFICATE_ENDS: Operation[types.CertificateEnds] = Operation(
    "getCertificateEnds", "GET", "/api/v1/certificates/ends", types.CertificateEnds
)
GET_COMMAND: Operation[types.Command] = Operation("getCommand", "GET", "/api/v1/commands/{command_id}", types.Command)
LIST_CONTROLLERS: Operation[types.SiteControllerPage] = Operation(
    "listControllers", "GET", "/api/v1/controllers", types.SiteControllerPage
)
LIST_DRIVERS: Operation[types.DriverPage] = Operation("listDrivers", "GET", "/api/v1/drivers", types.DriverPage)
CREATE_DRIVER: Operation[types.Driver] = Operation("createDriver", "POST", "/api/v1/drivers", types.Driver)
DELETE_DRIVER: Operation[None] = Operation("deleteDriver", "DELETE", "/api/v1/drivers/{driver_id}", None)
GET_DRIVER: Operation[types.Driver] = Operation("getDriver", "GET", "/api/v1/drivers/{driver_id}", types.Driver)
CHANGE_DRIVER: Operation[types.Driver] = Operation("changeDriver", "PATCH", "/api/v1/drivers/{driver_id}", types.Driver)
ERASE_DRIVER: Operation[types.Erasure] = Operation(
    "eraseDriver", "POST", "/api/v1/drivers/{driver_id}/erase", types.Erasure
)
EXPORT_DRIVER: Operation[types.DriverExport] = Operation(
    "exportDriver", "GET", "/api/v1/drivers/{driver_id}/export", types.DriverExport
)
STREAM_EVENTS: Operation[None] = Operation("streamEvents", "GET", "/api/v1/events", None)
LIST_FIRMWARE: Operation[types.FirmwarePage] = Operation("listFirmware", "GET", "/api/v1/firmware", types.FirmwarePage)
CREATE_FIRMWARE: Operation[types.Firmware] = Operation("createFirmware", "POST", "/api/v1/firmware", types.Firmware)
DELETE_FIRMWARE: Operation[None] = Operation("deleteFirmware", "DELETE", "/api/v1/firmware/{firmware_id}", None)
GET_FIRMWARE: Operation[types.Firmware] = Operation(
    "getFirmware", "GET", "/api/v1/firmware/{firmware_id}", types.Firmware
)
CHANGE_FIRMWARE: Operation[types.Firmware] = Operation(
    "changeFirmware", "PATCH", "/api/v1/firmware/{firmware_id}", types.Firmware
)
GET_FIRMWARE_CONTENT: Operation[None] = Operation(
    "getFirmwareContent", "GET", "/api/v1/firmware/{firmware_id}/content", None
)
PUT_FIRMWARE_CONTENT: Operation[types.Firmware] = Operation(
    "putFirmwareContent", "PUT", "/api/v1/firmware/{firmware_id}/content", types.Firmware
)
STREAM_FRAMES: Operation[None] = Operation("streamFrames", "GET", "/api/v1/frames", None)
LIST_GROUPS: Operation[types.GroupPage] = Operation("listGroups", "GET", "/api/v1/groups", types.GroupPage)
CREATE_GROUP: Operation[types.Group] = Operation("createGroup", "POST", "/api/v1/groups", types.Group)
DELETE_GROUP: Operation[None] = Operation("deleteGroup", "DELETE", "/api/v1/groups/{group_id}", None)
GET_GROUP: Operation[types.Group] = Operation("getGroup", "GET", "/api/v1/groups/{group_id}", types.Group)
CHANGE_GROUP: Operation[types.Group] = Operation("changeGroup", "PATCH", "/api/v1/groups/{group_id}", types.Group)
LIST_STRANGERS: Operation[types.HandshakePage] = Operation(
    "listStrangers", "GET", "/api/v1/handshakes", types.HandshakePage
)
LIST_JOBS: Operation[types.JobPage] = Operation("listJobs", "GET", "/api/v1/jobs", types.JobPage)
CREATE_JOB: Operation[types.Job] = Operation("createJob", "POST", "/api/v1/jobs", types.Job)
DELETE_JOB: Operation[None] = Operation("deleteJob", "DELETE", "/api/v1/jobs/{job_id}", None)
GET_JOB: Operation[types.Job] = Operation("getJob", "GET", "/api/v1/jobs/{job_id}", types.Job)
CANCEL_JOB: Operation[types.Job] = Operation("cancelJob", "POST", "/api/v1/jobs/{job_id}/cancel", types.Job)
STREAM_JOB: Operation[None] = Operation("streamJob", "GET", "/api/v1/jobs/{job_id}/live", None)
LIST_JOB_OUTCOMES: Operation[types.JobOutcomePage] = Operation(
    "listJobOutcomes", "GET", "/api/v1/jobs/{job_id}/outcomes", types.JobOutcomePage
)
STREAM_LIVE: Operation[None] = Operation("streamLive", "GET", "/api/v1/live", None)
DELETE_MAIL_SERVER: Operation[None] = Operation("deleteMailServer", "DELETE", "/api/v1/mail-server", None)
GET_MAIL_SERVER: Operation[types.MailServer] = Operation(
    "getMailServer", "GET", "/api/v1/mail-server", types.MailServer
)
SET_MAIL_SERVER: Operation[types.MailServer] = Operation(
    "setMailServer", "PUT", "/api/v1/mail-server", types.MailServer
)
TEST_MAIL_SERVER: Operation[types.NotificationResult] = Operation(
    "testMailServer", "POST", "/api/v1/mail-server/test", types.NotificationResult
)
GET_ME: Operation[types.Me] = Operation("getMe", "GET", "/api/v1/me", types.Me)
CHANGE_ME: Operation[types.Me] = Operation("changeMe", "PATCH", "/api/v1/me", types.Me)
END_MY_LOGINS: Operation[types.Ended] = Operation("endMyLogins", "DELETE", "/api/v1/me/logins", types.Ended)
LIST_MY_LOGINS: Operation[types.LoginPage] = Operation("listMyLogins", "GET", "/api/v1/me/logins", types.LoginPage)
END_MY_LOGIN: Operation[types.Ended] = Operation("endMyLogin", "DELETE", "/api/v1/me/logins/{login_id}", types.Ended)
CHANGE_MY_PASSWORD: Operation[None] = Operation("changeMyPassword", "POST", "/api/v1/me/password", None)
RENEW_RECOVERY_CODES: Operation[types.RecoveryCodes] = Operation(
    "renewRecoveryCodes", "POST", "/api/v1/me/recovery-codes", types.RecoveryCodes
)
BEGIN_SECOND_FACTOR: Operation[types.SecondFactor] = Operation(
    "beginSecondFactor", "POST", "/api/v1/me/second-factor", types.SecondFactor
)
CONFIRM_SECOND_FACTOR: Operation[types.RecoveryCodes] = Operation(
    "confirmSecondFactor", "POST", "/api/v1/me/second-factor/confirm", types.RecoveryCodes
)
REMOVE_SECOND_FACTOR: Operation[None] = Operation("removeSecondFactor", "POST", "/api/v1/me/second-factor/remove", None)
WORK_IN_TENANT: Operation[types.Me] = Operation("workInTenant", "POST", "/api/v1/me/tenant", types.Me)
LIST_NOTIFICATIONS: Operation[types.NotificationPage] = Operation(
    "listNotifications", "GET", "/api/v1/notifications", types.NotificationPage
)
DELETE_OIDC: Operation[None] = Operation("deleteOidc", "DELETE", "/api/v1/oidc", None)
GET_OIDC: Operation[types.OidcShown] = Operation("getOidc", "GET", "/api/v1/oidc", types.OidcShown)
PUT_OIDC: Operation[types.OidcShown] = Operation("putOidc", "PUT", "/api/v1/oidc", types.OidcShown)
CHECK_OIDC: Operation[types.OidcCheck] = Operation("checkOidc", "POST", "/api/v1/oidc/check", types.OidcCheck)
LIST_QUIRK_SETTINGS: Operation[types.QuirkSettingPage] = Operation(
    "listQuirkSettings", "GET", "/api/v1/quirk-settings", types.QuirkSettingPage
)
CREATE_QUIRK_SETTING: Operation[types.QuirkSetting] = Operation(
    "createQuirkSetting", "POST", "/api/v1/quirk-settings", types.QuirkSetting
)
DELETE_QUIRK_SETTING: Operation[None] = Operation(
    "deleteQuirkSetting", "DELETE", "/api/v1/quirk-settings/{setting_id}", None
)
LIST_QUIRKS: Operation[types.QuirkPage] = Operation("listQuirks", "GET", "/api/v1/quirks", types.QuirkPage)
GET_REPORT: Operation[types.Report] = Operation("getReport", "GET", "/api/v1/reports", types.Report)
EXPORT_REPORT: Operation[None] = Operation("exportReport", "GET", "/api/v1/reports.csv", None)
LIST_EXCLUSIONS: Operation[types.ExclusionPage] = Operation(
    "listExclusions", "GET", "/api/v1/reports/exclusions", types.ExclusionPage
)
CREATE_EXCLUSION: Operation[types.Exclusion] = Operation(
    "createExclusion", "POST", "/api/v1/reports/exclusions", types.Exclusion
)
DELETE_EXCLUSION: Operation[None] = Operation(
    "deleteExclusion", "DELETE", "/api/v1/reports/exclusions/{exclusion_id}", None
)
LIST_OUTAGES: Operation[types.OutagePage] = Operation("listOutages", "GET", "/api/v1/reports/outages", types.OutagePage)
REBUILD_REPORTS: Operation[types.ReportState] = Operation(
    "rebuildReports", "POST", "/api/v1/reports/rebuild", types.ReportState
)
GET_REPORT_STATE: Operation[types.ReportState] = Operation(
    "getReportState", "GET", "/api/v1/reports/state", types.ReportState
)
GET_RETENTION: Operation[types.Retention] = Operation("getRetention", "GET", "/api/v1/retention", types.Retention)
CHANGE_RETENTION: Operation[types.Retention] = Operation(
    "changeRetention", "PATCH", "/api/v1/retention", types.Retention
)
LIST_ROLES: Operation[types.RolePage] = Operation("listRoles", "GET", "/api/v1/roles", types.RolePage)
LIST_ROLLOUTS: Operation[types.RolloutPage] = Operation("listRollouts", "GET", "/api/v1/rollouts", types.RolloutPage)
CREATE_ROLLOUT: Operation[types.Rollout] = Operation("createRollout", "POST", "/api/v1/rollouts", types.Rollout)
DELETE_ROLLOUT: Operation[None] = Operation("deleteRollout", "DELETE", "/api/v1/rollouts/{rollout_id}", None)
GET_ROLLOUT: Operation[types.Rollout] = Operation("getRollout", "GET", "/api/v1/rollouts/{rollout_id}", types.Rollout)
CANCEL_ROLLOUT: Operation[types.Rollout] = Operation(
    "cancelRollout", "POST", "/api/v1/rollouts/{rollout_id}/cancel", types.Rollout
)
PAUSE_ROLLOUT: Operation[types.Rollout] = Operation(
    "pauseRollout", "POST", "/api/v1/rollouts/{rollout_id}/pause", types.Rollout
)
RESUME_ROLLOUT: Operation[types.Rollout] = Operation(
    "resumeRollout", "POST", "/api/v1/rollouts/{rollout_id}/resume", types.Rollout
)
LIST_ROLLOUT_STATIONS: Operation[types.RolloutStationPage] = Operation(
    "listRolloutStations", "GET", "/api/v1/rollouts/{rollout_id}/stations", types.RolloutStationPage
)
LIST_SESSIONS: Operation[types.SessionPage] = Operation("listSessions", "GET", "/api/v1/sessions", types.SessionPage)
EXPORT_SESSIONS: Operation[None] = Operation("exportSessions", "GET", "/api/v1/sessions/export", None)
SUM_SESSIONS: Operation[types.SessionSums] = Operation("sumSessions", "GET", "/api/v1/sessions/sums", types.SessionSums)
GET_SESSION: Operation[types.Session] = Operation("getSession", "GET", "/api/v1/sessions/{session_id}", types.Session)
GET_SESSION_COST: Operation[types.CostBreakdown] = Operation(
    "getSessionCost", "GET", "/api/v1/sessions/{session_id}/cost", types.CostBreakdown
)
GET_CURVE: Operation[types.Curve] = Operation("getCurve", "GET", "/api/v1/sessions/{session_id}/curve", types.Curve)
GET_SESSION_CURVES: Operation[types.SessionCurves] = Operation(
    "getSessionCurves", "GET", "/api/v1/sessions/{session_id}/curves", types.SessionCurves
)
LIST_SESSION_EVENTS: Operation[types.SessionEventPage] = Operation(
    "listSessionEvents", "GET", "/api/v1/sessions/{session_id}/events", types.SessionEventPage
)
LIST_SAMPLES: Operation[types.SamplePage] = Operation(
    "listSamples", "GET", "/api/v1/sessions/{session_id}/samples", types.SamplePage
)
CHANGE_SESSION_TARIFF: Operation[types.CommandAnswer] = Operation(
    "changeSessionTariff", "POST", "/api/v1/sessions/{session_id}/tariff", types.CommandAnswer
)
LIST_SITES: Operation[types.SitePage] = Operation("listSites", "GET", "/api/v1/sites", types.SitePage)
CREATE_SITE: Operation[types.Site] = Operation("createSite", "POST", "/api/v1/sites", types.Site)
GET_SITES_GEO_JSON: Operation[None] = Operation("getSitesGeoJson", "GET", "/api/v1/sites.geojson", None)
LIST_SITE_SUMMARIES: Operation[types.SiteSummaryPage] = Operation(
    "listSiteSummaries", "GET", "/api/v1/sites/summaries", types.SiteSummaryPage
)
DELETE_SITE: Operation[None] = Operation("deleteSite", "DELETE", "/api/v1/sites/{site_id}", None)
GET_SITE: Operation[types.Site] = Operation("getSite", "GET", "/api/v1/sites/{site_id}", types.Site)
CHANGE_SITE: Operation[types.Site] = Operation("changeSite", "PATCH", "/api/v1/sites/{site_id}", types.Site)
DELETE_SITE_BACKGROUND: Operation[None] = Operation(
    "deleteSiteBackground", "DELETE", "/api/v1/sites/{site_id}/background.svg", None
)
GET_SITE_BACKGROUND: Operation[None] = Operation(
    "getSiteBackground", "GET", "/api/v1/sites/{site_id}/background.svg", None
)
PUT_SITE_BACKGROUND: Operation[types.Site] = Operation(
    "putSiteBackground", "PUT", "/api/v1/sites/{site_id}/background.svg", types.Site
)
GET_COMMISSIONING: Operation[types.Commissioning] = Operation(
    "getCommissioning", "GET", "/api/v1/sites/{site_id}/commissioning", types.Commissioning
)
CANCEL_COMMISSIONING: Operation[types.Commissioning] = Operation(
    "cancelCommissioning", "POST", "/api/v1/sites/{site_id}/commissioning/cancel", types.Commissioning
)
EDIT_DRAFT: Operation[types.Commissioning] = Operation(
    "editDraft", "PATCH", "/api/v1/sites/{site_id}/commissioning/draft", types.Commissioning
)
RUN_DRY: Operation[types.Commissioning] = Operation(
    "runDry", "POST", "/api/v1/sites/{site_id}/commissioning/dry-run", types.Commissioning
)
CHECK_FAILSAFES: Operation[types.Commissioning] = Operation(
    "checkFailsafes", "POST", "/api/v1/sites/{site_id}/commissioning/failsafe", types.Commissioning
)
GO_LIVE: Operation[types.CommissionedFile] = Operation(
    "goLive", "POST", "/api/v1/sites/{site_id}/commissioning/go-live", types.CommissionedFile
)
DETECT_PHASES: Operation[types.Commissioning] = Operation(
    "detectPhases", "POST", "/api/v1/sites/{site_id}/commissioning/phases", types.Commissioning
)
ACCEPT_PHASES: Operation[types.Commissioning] = Operation(
    "acceptPhases", "POST", "/api/v1/sites/{site_id}/commissioning/phases/accept", types.Commissioning
)
SCAN_FOR_DEVICES: Operation[types.Commissioning] = Operation(
    "scanForDevices", "POST", "/api/v1/sites/{site_id}/commissioning/scan", types.Commissioning
)
GET_CONTROLLER: Operation[types.SiteNow] = Operation(
    "getController", "GET", "/api/v1/sites/{site_id}/controller", types.SiteNow
)
LIST_CONTROLLER_CHANGES: Operation[types.SetPointChangePage] = Operation(
    "listControllerChanges", "GET", "/api/v1/sites/{site_id}/controller/changes", types.SetPointChangePage
)
GET_CONTROLLER_COURSE: Operation[types.SiteCourse] = Operation(
    "getControllerCourse", "GET", "/api/v1/sites/{site_id}/controller/course", types.SiteCourse
)
EXPORT_CONTROLLER_COURSE: Operation[None] = Operation(
    "exportControllerCourse", "GET", "/api/v1/sites/{site_id}/controller/course.csv", None
)
GET_CONTROLLER_PAST: Operation[types.SitePast] = Operation(
    "getControllerPast", "GET", "/api/v1/sites/{site_id}/controller/past", types.SitePast
)
GET_CONTROLLER_PLAN: Operation[types.SiteOutlook] = Operation(
    "getControllerPlan", "GET", "/api/v1/sites/{site_id}/controller/plan", types.SiteOutlook
)
STREAM_CONTROLLER: Operation[None] = Operation(
    "streamController", "GET", "/api/v1/sites/{site_id}/controller/stream", None
)
LIST_CONTROLLER_WINDOWS: Operation[types.ClosedWindowPage] = Operation(
    "listControllerWindows", "GET", "/api/v1/sites/{site_id}/controller/windows", types.ClosedWindowPage
)
EXPORT_CONTROLLER_WINDOWS: Operation[None] = Operation(
    "exportControllerWindows", "GET", "/api/v1/sites/{site_id}/controller/windows.csv", None
)
IMPORT_SITE_PLAN: Operation[types.Site] = Operation(
    "importSitePlan", "PUT", "/api/v1/sites/{site_id}/plan.geojson", types.Site
)
GET_SITE_SUMMARY: Operation[types.SiteSummary] = Operation(
    "getSiteSummary", "GET", "/api/v1/sites/{site_id}/summary", types.SiteSummary
)
GET_STATION_FACETS: Operation[types.StationFacets] = Operation(
    "getStationFacets", "GET", "/api/v1/station-facets", types.StationFacets
)
LIST_STATIONS: Operation[types.StationPage] = Operation("listStations", "GET", "/api/v1/stations", types.StationPage)
CREATE_STATION: Operation[types.StationCreated] = Operation(
    "createStation", "POST", "/api/v1/stations", types.StationCreated
)
DELETE_STATION: Operation[None] = Operation("deleteStation", "DELETE", "/api/v1/stations/{station_id}", None)
GET_STATION: Operation[types.Station] = Operation("getStation", "GET", "/api/v1/stations/{station_id}", types.Station)
CHANGE_STATION: Operation[types.Station] = Operation(
    "changeStation", "PATCH", "/api/v1/stations/{station_id}", types.Station
)
GET_STATION_CERTIFICATES: Operation[types.StationCertificates] = Operation(
    "getStationCertificates", "GET", "/api/v1/stations/{station_id}/certificates", types.StationCertificates
)
DELETE_STATION_CERTIFICATE: Operation[types.CommandAnswer] = Operation(
    "deleteStationCertificate", "POST", "/api/v1/stations/{station_id}/certificates/delete", types.CommandAnswer
)
INSTALL_STATION_CERTIFICATE: Operation[types.CommandAnswer] = Operation(
    "installStationCertificate", "POST", "/api/v1/stations/{station_id}/certificates/install", types.CommandAnswer
)
REFRESH_STATION_CERTIFICATES: Operation[types.StationCertificates] = Operation(
    "refreshStationCertificates",
    "POST",
    "/api/v1/stations/{station_id}/certificates/refresh",
    types.StationCertificates,
)
RENEW_STATION_CERTIFICATE: Operation[types.CommandAnswer] = Operation(
    "renewStationCertificate", "POST", "/api/v1/stations/{station_id}/certificates/renew", types.CommandAnswer
)
GET_STATION_CHARGING: Operation[types.StationCharging] = Operation(
    "getStationCharging", "GET", "/api/v1/stations/{station_id}/charging", types.StationCharging
)
CHECK_STATION: Operation[types.StationChecks] = Operation(
    "checkStation", "GET", "/api/v1/stations/{station_id}/checks", types.StationChecks
)
LIST_COMMANDS: Operation[types.CommandPage] = Operation(
    "listCommands", "GET", "/api/v1/stations/{station_id}/commands", types.CommandPage
)
SEND_COMMAND: Operation[types.CommandAnswer] = Operation(
    "sendCommand", "POST", "/api/v1/stations/{station_id}/commands", types.CommandAnswer
)
LIST_AVAILABLE_COMMANDS: Operation[types.CommandFormPage] = Operation(
    "listAvailableCommands", "GET", "/api/v1/stations/{station_id}/commands/available", types.CommandFormPage
)
GET_AVAILABLE_COMMAND: Operation[types.CommandForm] = Operation(
    "getAvailableCommand", "GET", "/api/v1/stations/{station_id}/commands/available/{action}", types.CommandForm
)
LIST_CONNECTORS: Operation[types.ConnectorPage] = Operation(
    "listConnectors", "GET", "/api/v1/stations/{station_id}/connectors", types.ConnectorPage
)
GET_STATION_DETAILS: Operation[types.StationDetails] = Operation(
    "getStationDetails", "GET", "/api/v1/stations/{station_id}/details", types.StationDetails
)
LIST_EVSES: Operation[types.EvsePage] = Operation(
    "listEvses", "GET", "/api/v1/stations/{station_id}/evses", types.EvsePage
)
GET_EVSE: Operation[types.Evse] = Operation("getEvse", "GET", "/api/v1/stations/{station_id}/evses/{evse}", types.Evse)
PUBLISH_FIRMWARE: Operation[types.CommandAnswer] = Operation(
    "publishFirmware", "POST", "/api/v1/stations/{station_id}/firmware-publication", types.CommandAnswer
)
GET_FIRMWARE_UPDATE: Operation[types.FirmwareUpdate] = Operation(
    "getFirmwareUpdate", "GET", "/api/v1/stations/{station_id}/firmware-update", types.FirmwareUpdate
)
UPDATE_FIRMWARE: Operation[types.FirmwareUpdate] = Operation(
    "updateFirmware", "POST", "/api/v1/stations/{station_id}/firmware-update", types.FirmwareUpdate
)
WITHDRAW_FIRMWARE: Operation[types.CommandAnswer] = Operation(
    "withdrawFirmware", "POST", "/api/v1/stations/{station_id}/firmware-withdrawal", types.CommandAnswer
)
LIST_HANDSHAKES: Operation[types.HandshakePage] = Operation(
    "listHandshakes", "GET", "/api/v1/stations/{station_id}/handshakes", types.HandshakePage
)
GET_STATION_KEPT: Operation[types.StationKept] = Operation(
    "getStationKept", "GET", "/api/v1/stations/{station_id}/kept", types.StationKept
)
LIST_STATION_LOGS: Operation[types.StationLogPage] = Operation(
    "listStationLogs", "GET", "/api/v1/stations/{station_id}/logs", types.StationLogPage
)
ASK_FOR_STATION_LOG: Operation[types.StationLog] = Operation(
    "askForStationLog", "POST", "/api/v1/stations/{station_id}/logs", types.StationLog
)
DELETE_STATION_LOG: Operation[None] = Operation(
    "deleteStationLog", "DELETE", "/api/v1/stations/{station_id}/logs/{log_id}", None
)
GET_STATION_LOG: Operation[types.StationLog] = Operation(
    "getStationLog", "GET", "/api/v1/stations/{station_id}/logs/{log_id}", types.StationLog
)
GET_STATION_LOG_CONTENT: Operation[None] = Operation(
    "getStationLogContent", "GET", "/api/v1/stations/{station_id}/logs/{log_id}/content", None
)
LIST_MESSAGES: Operation[types.MessagePage] = Operation(
    "listMessages", "GET", "/api/v1/stations/{station_id}/messages", types.MessagePage
)
CHANGE_STATION_PASSWORD: Operation[types.StationPasswordChanged] = Operation(
    "changeStationPassword", "POST", "/api/v1/stations/{station_id}/password", types.StationPasswordChanged
)
LIST_STATION_QUIRKS: Operation[types.StationQuirks] = Operation(
    "listStationQuirks", "GET", "/api/v1/stations/{station_id}/quirks", types.StationQuirks
)
LIST_EVSE_USE: Operation[types.EvseUsePage] = Operation(
    "listEvseUse", "GET", "/api/v1/stations/{station_id}/use", types.EvseUsePage
)
LIST_VARIABLES: Operation[types.VariablePage] = Operation(
    "listVariables", "GET", "/api/v1/stations/{station_id}/variables", types.VariablePage
)
SET_VARIABLES: Operation[types.VariableOutcomes] = Operation(
    "setVariables", "PATCH", "/api/v1/stations/{station_id}/variables", types.VariableOutcomes
)
REFRESH_VARIABLES: Operation[types.VariableRefreshed] = Operation(
    "refreshVariables", "POST", "/api/v1/stations/{station_id}/variables/refresh", types.VariableRefreshed
)
LIST_SUBSCRIPTIONS: Operation[types.SubscriptionPage] = Operation(
    "listSubscriptions", "GET", "/api/v1/subscriptions", types.SubscriptionPage
)
CREATE_SUBSCRIPTION: Operation[types.Subscription] = Operation(
    "createSubscription", "POST", "/api/v1/subscriptions", types.Subscription
)
DELETE_SUBSCRIPTION: Operation[None] = Operation(
    "deleteSubscription", "DELETE", "/api/v1/subscriptions/{subscription_id}", None
)
GET_SUBSCRIPTION: Operation[types.Subscription] = Operation(
    "getSubscription", "GET", "/api/v1/subscriptions/{subscription_id}", types.Subscription
)
CHANGE_SUBSCRIPTION: Operation[types.Subscription] = Operation(
    "changeSubscription", "PATCH", "/api/v1/subscriptions/{subscription_id}", types.Subscription
)
TEST_SUBSCRIPTION: Operation[types.NotificationResult] = Operation(
    "testSubscription", "POST", "/api/v1/subscriptions/{subscription_id}/test", types.NotificationResult
)
LIST_TARIFF_ASSIGNMENTS: Operation[types.TariffAssignmentPage] = Operation(
    "listTariffAssignments", "GET", "/api/v1/tariff-assignments", types.TariffAssignmentPage
)
ASSIGN_TARIFF: Operation[types.TariffAssignment] = Operation(
    "assignTariff", "POST", "/api/v1/tariff-assignments", types.TariffAssignment
)
DELETE_TARIFF_ASSIGNMENT: Operation[None] = Operation(
    "deleteTariffAssignment", "DELETE", "/api/v1/tariff-assignments/{assignment_id}", None
)
LIST_TARIFFS: Operation[types.TariffPage] = Operation("listTariffs", "GET", "/api/v1/tariffs", types.TariffPage)
CREATE_TARIFF: Operation[types.TariffDetail] = Operation("createTariff", "POST", "/api/v1/tariffs", types.TariffDetail)
DELETE_TARIFF: Operation[None] = Operation("deleteTariff", "DELETE", "/api/v1/tariffs/{tariff_id}", None)
GET_TARIFF: Operation[types.TariffDetail] = Operation(
    "getTariff", "GET", "/api/v1/tariffs/{tariff_id}", types.TariffDetail
)
CHANGE_TARIFF: Operation[types.TariffDetail] = Operation(
    "changeTariff", "PATCH", "/api/v1/tariffs/{tariff_id}", types.TariffDetail
)
LIST_TENANTS: Operation[types.TenantPage] = Operation("listTenants", "GET", "/api/v1/tenants", types.TenantPage)
CREATE_TENANT: Operation[types.Tenant] = Operation("createTenant", "POST", "/api/v1/tenants", types.Tenant)
DELETE_TENANT: Operation[None] = Operation("deleteTenant", "DELETE", "/api/v1/tenants/{tenant_id}", None)
GET_TENANT: Operation[types.Tenant] = Operation("getTenant", "GET", "/api/v1/tenants/{tenant_id}", types.Tenant)
CHANGE_TENANT: Operation[types.Tenant] = Operation("changeTenant", "PATCH", "/api/v1/tenants/{tenant_id}", types.Tenant)
LIST_TOKENS: Operation[types.TokenPage] = Operation("listTokens", "GET", "/api/v1/tokens", types.TokenPage)
PUT_TOKEN: Operation[types.Token] = Operation("putToken", "POST", "/api/v1/tokens", types.Token)
EXPORT_TOKENS: Operation[None] = Operation("exportTokens", "GET", "/api/v1/tokens/export", None)
IMPORT_TOKENS: Operation[types.TokenImport] = Operation(
    "importTokens", "POST", "/api/v1/tokens/import", types.TokenImport
)
DELETE_TOKEN: Operation[None] = Operation("deleteToken", "DELETE", "/api/v1/tokens/{token}", None)
GET_TOKEN: Operation[types.Token] = Operation("getToken", "GET", "/api/v1/tokens/{token}", types.Token)
CHANGE_TOKEN: Operation[types.Token] = Operation("changeToken", "PATCH", "/api/v1/tokens/{token}", types.Token)
GET_TOTALS: Operation[types.Totals] = Operation("getTotals", "GET", "/api/v1/totals", types.Totals)
LIST_TRUST_ANCHORS: Operation[types.TrustAnchorPage] = Operation(
    "listTrustAnchors", "GET", "/api/v1/trust-anchors", types.TrustAnchorPage
)
CREATE_TRUST_ANCHOR: Operation[types.TrustAnchor] = Operation(
    "createTrustAnchor", "POST", "/api/v1/trust-anchors", types.TrustAnchor
)
DELETE_TRUST_ANCHOR: Operation[None] = Operation(
    "deleteTrustAnchor", "DELETE", "/api/v1/trust-anchors/{anchor_id}", None
)
LIST_USERS: Operation[types.UserPage] = Operation("listUsers", "GET", "/api/v1/users", types.UserPage)
PUT_USER: Operation[types.User] = Operation("putUser", "POST", "/api/v1/users", types.User)
DELETE_USER: Operation[None] = Operation("deleteUser", "DELETE", "/api/v1/users/{name}", None)
GET_USER: Operation[types.User] = Operation("getUser", "GET", "/api/v1/users/{name}", types.User)
CHANGE_USER: Operation[types.User] = Operation("changeUser", "PATCH", "/api/v1/users/{name}", types.User)
END_USER_LOGINS: Operation[types.Ended] = Operation(
    "endUserLogins", "DELETE", "/api/v1/users/{name}/logins", types.Ended
)
LIST_USER_LOGINS: Operation[types.LoginPage] = Operation(
    "listUserLogins", "GET", "/api/v1/users/{name}/logins", types.LoginPage
)
RESET_SECOND_FACTOR: Operation[None] = Operation(
    "resetSecondFactor", "DELETE", "/api/v1/users/{name}/second-factor", None
)
LIST_VIEWS: Operation[types.ViewPage] = Operation("listViews", "GET", "/api/v1/views", types.ViewPage)
CREATE_VIEW: Operation[types.View] = Operation("createView", "POST", "/api/v1/views", types.View)
DELETE_VIEW: Operation[None] = Operation("deleteView", "DELETE", "/api/v1/views/{view_id}", None)
GET_VIEW: Operation[types.View] = Operation("getView", "GET", "/api/v1/views/{view_id}", types.View)
CHANGE_VIEW: Operation[types.View] = Operation("changeView", "PATCH", "/api/v1/views/{view_id}", types.View)
LIST_WEBHOOKS: Operation[types.WebhookPage] = Operation("listWebhooks", "GET", "/api/v1/webhooks", types.WebhookPage)
CREATE_WEBHOOK: Operation[types.WebhookCreated] = Operation(
    "createWebhook", "POST", "/api/v1/webhooks", types.WebhookCreated
)
LIST_WEBHOOK_EVENT_TYPES: Operation[types.WebhookEventTypePage] = Operation(
    "listWebhookEventTypes", "GET", "/api/v1/webhooks/event-types", types.WebhookEventTypePage
)
DELETE_WEBHOOK: Operation[None] = Operation("deleteWebhook", "DELETE", "/api/v1/webhooks/{webhook_id}", None)
GET_WEBHOOK: Operation[types.Webhook] = Operation("getWebhook", "GET", "/api/v1/webhooks/{webhook_id}", types.Webhook)
CHANGE_WEBHOOK: Operation[types.Webhook] = Operation(
    "changeWebhook", "PATCH", "/api/v1/webhooks/{webhook_id}", types.Webhook
)
LIST_WEBHOOK_DELIVERIES: Operation[types.WebhookDeliveryPage] = Operation(
    "listWebhookDeliveries", "GET", "/api/v1/webhooks/{webhook_id}/deliveries", types.WebhookDeliveryPage
)
GET_WEBHOOK_DELIVERY: Operation[types.WebhookDelivery] = Operation(
    "getWebhookDelivery", "GET", "/api/v1/webhooks/{webhook_id}/deliveries/{delivery_id}", types.WebhookDelivery
)
RESEND_WEBHOOK_DELIVERY: Operation[types.WebhookDelivery] = Operation(
    "resendWebhookDelivery",
    "POST",
    "/api/v1/webhooks/{webhook_id}/deliveries/{delivery_id}/resend",
    types.WebhookDelivery,
)
PING_WEBHOOK: Operation[types.WebhookDelivery] = Operation(
    "pingWebhook", "POST", "/api/v1/webhooks/{webhook_id}/ping", types.WebhookDelivery
)
RENEW_WEBHOOK_SECRET: Operation[types.WebhookSecret] = Operation(
    "renewWebhookSecret", "POST", "/api/v1/webhooks/{webhook_id}/secret", types.WebhookSecret
)
GET_HEALTH: Operation[types.Health] = Operation("getHealth", "GET", "/healthz", types.Health)
GET_METRICS: Operation[None] = Operation("getMetrics", "GET", "/metrics", None)
GET_READINESS: Operation[types.Health] = Operation("getReadiness", "GET", "/readyz", types.Health)

OPERATIONS: tuple[Operation[object], ...] = (
    LIST_ALARM_MUTES,
    MUTE_ALARMS,
    UNMUTE_ALARMS,
    LIST_ALARM_RULES,
    CREATE_ALARM_RULE,
    GET_ALARM_VOCABULARY,
    DELETE_ALARM_RULE,
    GET_ALARM_RULE,
    CHANGE_ALARM_RULE,
    LIST_ALARMS,
    COUNT_ALARMS,
    GET_ALARM,
    ACKNOWLEDGE_ALARM,
    LIST_API_KEYS,
    CREATE_API_KEY,
    DELETE_API_KEY,
    GET_API_KEY,
    CHANGE_API_KEY,
    ROTATE_API_KEY,
    LIST_AUDIT,
    EXPORT_AUDIT,
    VERIFY_AUDIT,
    GET_AUDIT,
    GET_CERTIFICATE_AUTHORITY,
    CHANGE_CERTIFICATE_AUTHORITY,
    RENEW_CERTIFICATE_AUTHORITY,
    LIST_CERTIFICATE_REQUESTS,
    LIST_CERTIFICATES,
    GET_CERTIFICATE_ENDS,
    GET_COMMAND,
    LIST_CONTROLLERS,
    LIST_DRIVERS,
    CREATE_DRIVER,
    DELETE_DRIVER,
    GET_DRIVER,
    CHANGE_DRIVER,
    ERASE_DRIVER,
    EXPORT_DRIVER,
    STREAM_EVENTS,
    LIST_FIRMWARE,
    CREATE_FIRMWARE,
    DELETE_FIRMWARE,
    GET_FIRMWARE,
    CHANGE_FIRMWARE,
    GET_FIRMWARE_CONTENT,
    PUT_FIRMWARE_CONTENT,
    STREAM_FRAMES,
    LIST_GROUPS,
    CREATE_GROUP,
    DELETE_GROUP,
    GET_GROUP,
    CHANGE_GROUP,
    LIST_STRANGERS,
    LIST_JOBS,
    CREATE_JOB,
    DELETE_JOB,
    GET_JOB,
    CANCEL_JOB,
    STREAM_JOB,
    LIST_JOB_OUTCOMES,
    STREAM_LIVE,
    DELETE_MAIL_SERVER,
    GET_MAIL_SERVER,
    SET_MAIL_SERVER,
    TEST_MAIL_SERVER,
    GET_ME,
    CHANGE_ME,
    END_MY_LOGINS,
    LIST_MY_LOGINS,
    END_MY_LOGIN,
    CHANGE_MY_PASSWORD,
    RENEW_RECOVERY_CODES,
    BEGIN_SECOND_FACTOR,
    CONFIRM_SECOND_FACTOR,
    REMOVE_SECOND_FACTOR,
    WORK_IN_TENANT,
    LIST_NOTIFICATIONS,
    DELETE_OIDC,
    GET_OIDC,
    PUT_OIDC,
    CHECK_OIDC,
    LIST_QUIRK_SETTINGS,
    CREATE_QUIRK_SETTING,
    DELETE_QUIRK_SETTING,
    LIST_QUIRKS,
    GET_REPORT,
    EXPORT_REPORT,
    LIST_EXCLUSIONS,
    CREATE_EXCLUSION,
    DELETE_EXCLUSION,
    LIST_OUTAGES,
    REBUILD_REPORTS,
    GET_REPORT_STATE,
    GET_RETENTION,
    CHANGE_RETENTION,
    LIST_ROLES,
    LIST_ROLLOUTS,
    CREATE_ROLLOUT,
    DELETE_ROLLOUT,
    GET_ROLLOUT,
    CANCEL_ROLLOUT,
    PAUSE_ROLLOUT,
    RESUME_ROLLOUT,
    LIST_ROLLOUT_STATIONS,
    LIST_SESSIONS,
    EXPORT_SESSIONS,
    SUM_SESSIONS,
    GET_SESSION,
    GET_SESSION_COST,
    GET_CURVE,
    GET_SESSION_CURVES,
    LIST_SESSION_EVENTS,
    LIST_SAMPLES,
    CHANGE_SESSION_TARIFF,
    LIST_SITES,
    CREATE_SITE,
    GET_SITES_GEO_JSON,
    LIST_SITE_SUMMARIES,
    DELETE_SITE,
    GET_SITE,
    CHANGE_SITE,
    DELETE_SITE_BACKGROUND,
    GET_SITE_BACKGROUND,
    PUT_SITE_BACKGROUND,
    GET_COMMISSIONING,
    CANCEL_COMMISSIONING,
    EDIT_DRAFT,
    RUN_DRY,
    CHECK_FAILSAFES,
    GO_LIVE,
    DETECT_PHASES,
    ACCEPT_PHASES,
    SCAN_FOR_DEVICES,
    GET_CONTROLLER,
    LIST_CONTROLLER_CHANGES,
    GET_CONTROLLER_COURSE,
    EXPORT_CONTROLLER_COURSE,
    GET_CONTROLLER_PAST,
    GET_CONTROLLER_PLAN,
    STREAM_CONTROLLER,
    LIST_CONTROLLER_WINDOWS,
    EXPORT_CONTROLLER_WINDOWS,
    IMPORT_SITE_PLAN,
    GET_SITE_SUMMARY,
    GET_STATION_FACETS,
    LIST_STATIONS,
    CREATE_STATION,
    DELETE_STATION,
    GET_STATION,
    CHANGE_STATION,
    GET_STATION_CERTIFICATES,
    DELETE_STATION_CERTIFICATE,
    INSTALL_STATION_CERTIFICATE,
    REFRESH_STATION_CERTIFICATES,
    RENEW_STATION_CERTIFICATE,
    GET_STATION_CHARGING,
    CHECK_STATION,
    LIST_COMMANDS,
    SEND_COMMAND,
    LIST_AVAILABLE_COMMANDS,
    GET_AVAILABLE_COMMAND,
    LIST_CONNECTORS,
    GET_STATION_DETAILS,
    LIST_EVSES,
    GET_EVSE,
    PUBLISH_FIRMWARE,
    GET_FIRMWARE_UPDATE,
    UPDATE_FIRMWARE,
    WITHDRAW_FIRMWARE,
    LIST_HANDSHAKES,
    GET_STATION_KEPT,
    LIST_STATION_LOGS,
    ASK_FOR_STATION_LOG,
    DELETE_STATION_LOG,
    GET_STATION_LOG,
    GET_STATION_LOG_CONTENT,
    LIST_MESSAGES,
    CHANGE_STATION_PASSWORD,
    LIST_STATION_QUIRKS,
    LIST_EVSE_USE,
    LIST_VARIABLES,
    SET_VARIABLES,
    REFRESH_VARIABLES,
    LIST_SUBSCRIPTIONS,
    CREATE_SUBSCRIPTION,
    DELETE_SUBSCRIPTION,
    GET_SUBSCRIPTION,
    CHANGE_SUBSCRIPTION,
    TEST_SUBSCRIPTION,
    LIST_TARIFF_ASSIGNMENTS,
    ASSIGN_TARIFF,
    DELETE_TARIFF_ASSIGNMENT,
    LIST_TARIFFS,
    CREATE_TARIFF,
    DELETE_TARIFF,
    GET_TARIFF,
    CHANGE_TARIFF,
    LIST_TENANTS,
    CREATE_TENANT,
    DELETE_TENANT,
    GET_TENANT,
    CHANGE_TENANT,
    LIST_TOKENS,
    PUT_TOKEN,
    EXPORT_TOKENS,
    IMPORT_TOKENS,
    DELETE_TOKEN,
    GET_TOKEN,
    CHANGE_TOKEN,
    GET_TOTALS,
    LIST_TRUST_ANCHORS,
    CREATE_TRUST_ANCHOR,
    DELETE_TRUST_ANCHOR,
    LIST_USERS,
    PUT_USER,
    DELETE_USER,
    GET_USER,
    CHANGE_USER,
    END_USER_LOGINS,
    LIST_USER_LOGINS,
    RESET_SECOND_FACTOR,
    LIST_VIEWS,
    CREATE_VIEW,
    DELETE_VIEW,
    GET_VIEW,
    CHANGE_VIEW,
    LIST_WEBHOOKS,
    CREATE_WEBHOOK,
    LIST_WEBHOOK_EVENT_TYPES,
    DELETE_WEBHOOK,
    GET_WEBHOOK,
    CHANGE_WEBHOOK,
    LIST_WEBHOOK_DELIVERIES,
    GET_WEBHOOK_DELIVERY,
    RESEND_WEBHOOK_DELIVERY,
    PING_WEBHOOK,
    RENEW_WEBHOOK_SECRET,
    GET_HEALTH,
    GET_METRICS,
    GET_READINESS,
)  # type: ignore[assignment]
