//! The calls of Nexus: for each operation its request, its reply, and the subject of the request.
//!
//! The client and the handlers of Nexus are written once, for [`Call`]. The path that needs a permission is taken from
//! the request here, so that a handler cannot check another one.

use bytes::Bytes;

use super::{
    DecryptRequest, DecryptResponse, EmptyRequest, EmptyResponse, EncryptRequest, EncryptResponse,
    ExplainRequest, ExplainResponse, JsonError, LintResponse, Operation, Policy, PolicyListRequest,
    PolicyListResponse, PolicyNameRequest, PolicyPutRequest, PolicyPutResponse, RecoverResponse,
    ReplyError, RestoreRequest, RestoreResponse, SecretGetRequest, SecretGetResponse,
    SecretListRequest, SecretListResponse, SecretMetadataRequest, SecretMetadataResponse,
    SecretPutRequest, SecretVersionsRequest, StatusResponse, SurveyResponse, VerifyRequest,
    VerifyResponse, WhoCanRequest, WhoCanResponse,
};

/// One call. Its types have no values; each represents an operation.
pub trait Call: Send + Sync + 'static {
    /// The request.
    type Request: Send + Sync;
    /// The reply.
    type Reply;
    /// The operation.
    const OPERATION: Operation;

    /// Reads a request.
    ///
    /// # Errors
    /// [`JsonError`] when it is malformed.
    fn decode(body: &[u8]) -> Result<Self::Request, JsonError>;

    /// The request to send.
    fn encode(request: &Self::Request) -> Bytes;

    /// Reads the body of a 200.
    ///
    /// # Errors
    /// [`ReplyError`] when it is malformed or carries an error code.
    fn decode_reply(body: &[u8]) -> Result<Self::Reply, ReplyError>;

    /// The answer to send.
    fn encode_reply(reply: &Self::Reply) -> Bytes;

    /// The subject of the request.
    fn subject(request: &Self::Request) -> Subject<'_>;
}

/// The subject of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject<'r> {
    /// The path of a secret. The peer needs a permission on it.
    Path(&'r str),
    /// A name for the audit log. It does not matter for permissions.
    Named(&'r str),
    /// A recovery share, named by its index.
    Share(i64),
    /// No subject.
    Nothing,
}

impl Subject<'_> {
    /// Its name in the audit log.
    pub fn audit_name(self) -> Option<String> {
        match self {
            Self::Path(text) | Self::Named(text) => Some(text.to_owned()),
            Self::Share(index) => Some(format!("share {index}")),
            Self::Nothing => None,
        }
    }
}

/// Declares calls: the operation, the request, the reply, and the field that is the subject.
macro_rules! calls {
    ($( $name:ident: $request:ty => $reply:ty, $kind:ident $( ($field:ident) )?; )*) => {
        $(
            #[doc = concat!("The call of [`Operation::", stringify!($name), "`].")]
            #[derive(Debug)]
            pub enum $name {}

            impl Call for $name {
                type Request = $request;
                type Reply = $reply;
                const OPERATION: Operation = Operation::$name;

                fn decode(body: &[u8]) -> Result<$request, JsonError> {
                    <$request>::decode(body)
                }

                fn encode(request: &$request) -> Bytes {
                    request.encode()
                }

                fn decode_reply(body: &[u8]) -> Result<$reply, ReplyError> {
                    <$reply>::decode(body)
                }

                fn encode_reply(reply: &$reply) -> Bytes {
                    reply.encode()
                }

                #[allow(unused_variables, reason = "some calls have no subject")]
                fn subject(request: &$request) -> Subject<'_> {
                    calls!(@$kind request $($field)?)
                }
            }

            const _: () = assert!(
                Operation::$name.rule().is_on_the_path() == calls!(@is_path $kind),
                "a call has a path as its subject if, and only if, its rule is about the path"
            );
        )*

        const _: () = assert!(
            [$( Operation::$name, )*].len() == Operation::ALL.len(),
            "an operation has no call"
        );
    };
    (@path $request:ident $field:ident) => { Subject::Path(&$request.$field) };
    (@named $request:ident $field:ident) => { Subject::Named(&$request.$field) };
    (@share $request:ident $field:ident) => { Subject::Share($request.$field) };
    (@nothing $request:ident) => { Subject::Nothing };
    (@is_path path) => { true };
    (@is_path $kind:ident) => { false };
}

calls! {
    SecretPut: SecretPutRequest => EmptyResponse, path(path);
    SecretGet: SecretGetRequest => SecretGetResponse, path(path);
    SecretDelete: SecretVersionsRequest => EmptyResponse, path(path);
    SecretUndelete: SecretVersionsRequest => EmptyResponse, path(path);
    SecretList: SecretListRequest => SecretListResponse, nothing;
    SecretMetadata: SecretMetadataRequest => SecretMetadataResponse, path(path);
    PolicyPut: PolicyPutRequest => PolicyPutResponse, named(name);
    PolicyGet: PolicyNameRequest => Policy, named(name);
    PolicyDelete: PolicyNameRequest => EmptyResponse, named(name);
    PolicyList: PolicyListRequest => PolicyListResponse, nothing;
    PolicyExplain: ExplainRequest => ExplainResponse, named(path);
    PolicyWhoCan: WhoCanRequest => WhoCanResponse, named(path);
    PolicyLint: EmptyRequest => LintResponse, nothing;
    CipherEncrypt: EncryptRequest => EncryptResponse, nothing;
    CipherDecrypt: DecryptRequest => DecryptResponse, nothing;
    OperatorRecover: EmptyRequest => RecoverResponse, nothing;
    OperatorRestore: RestoreRequest => RestoreResponse, share(id);
    OperatorStatus: EmptyRequest => StatusResponse, nothing;
    BootstrapVerify: VerifyRequest => VerifyResponse, nothing;
    BootstrapSurvey: EmptyRequest => SurveyResponse, nothing;
}
